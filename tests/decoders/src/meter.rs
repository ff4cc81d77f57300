//! An allocator that counts what one thread holds while a decoder runs, and ends the process when that
//! exceeds the decoder's bound: before the memory is taken, so that a length of 4 GiB kills no machine.
#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one hands on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;

/// The system's allocator with a count; a binary that measures declares it its `#[global_allocator]`.
#[derive(Debug)]
pub struct Meter;

/// What one decoder may hold for one input.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// The decoder's name.
    pub target: &'static str,
    /// The input's length.
    pub input_bytes: usize,
    /// The most bytes at once.
    pub bytes_max: usize,
}

struct Account {
    /// `None` while nothing is counted.
    allowance: Cell<Option<Allowance>>,
    live: Cell<usize>,
    most: Cell<usize>,
}

thread_local! {
    /// Constant and without a destructor, so that reaching it allocates nothing.
    static ACCOUNT: Account =
        const { Account { allowance: Cell::new(None), live: Cell::new(0), most: Cell::new(0) } };
}

/// Runs a decoder and returns the most bytes that were allocated in it and not yet freed again.
pub fn within<T>(allowance: Allowance, decoder: impl FnOnce() -> T) -> (T, usize) {
    ACCOUNT.with(|account| {
        account.live.set(0);
        account.most.set(0);
        account.allowance.set(Some(allowance));
    });
    let counting = Counting;
    let answer = decoder();
    drop(counting);
    (answer, ACCOUNT.with(|account| account.most.get()))
}

/// Ends the count also where a decoder panics.
struct Counting;

impl Drop for Counting {
    fn drop(&mut self) {
        ACCOUNT.with(|account| account.allowance.set(None));
    }
}

/// Whether this program counts at all.
pub fn is_installed() -> bool {
    let allowance = Allowance { target: "meter", input_bytes: 0, bytes_max: 64 };
    within(allowance, || std::hint::black_box(Box::new([0_u8; 64]))).1 == 64
}

fn take(bytes: usize) {
    // Fails only while the thread ends, where nothing is counted.
    let _ = ACCOUNT.try_with(|account| {
        let Some(allowance) = account.allowance.get() else { return };
        let live = account.live.get().saturating_add(bytes);
        account.live.set(live);
        account.most.set(account.most.get().max(live));
        if live > allowance.bytes_max {
            account.allowance.set(None);
            exceeded(allowance, bytes, live);
        }
    });
}

fn give_back(bytes: usize) {
    let _ = ACCOUNT.try_with(|account| account.live.set(account.live.get().saturating_sub(bytes)));
}

fn exceeded(allowance: Allowance, request: usize, live: usize) -> ! {
    let Allowance { target, input_bytes, bytes_max } = allowance;
    eprintln!(
        "decoder {target}: an input of {input_bytes} bytes makes it hold {live} bytes, its bound is \
         {bytes_max}; the last request is for {request} bytes, from\n{}",
        Backtrace::force_capture()
    );
    std::process::abort()
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps the contract of this same method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    /// While a block moves, the old one and the new one are held.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        give_back(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
