//! A decoder with its bound and what must be true of it.

use crate::meter::{self, Allowance};
use bytes::Bytes;
use ledgercast_crypto::Certificate;
use std::cell::Cell;
use std::sync::Once;

/// The certificate parser keeps a table of names for as long as the process lives: it is no input's.
static TABLES: Once = Once::new();
const ANY_CERTIFICATE: &[u8] = include_bytes!("../../../fuzz/corpus/certificate/seed-ca");

/// What the X.509 parser holds for each byte of what it parses. Measured: a name of two bytes has 72, in a
/// vector that doubles: 108 times. It parses one certificate or list at a time, and keeps nothing.
pub const PARSER_FACTOR: usize = 128;

/// How many bytes a decoder may hold at once: so many, and so many for each byte of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Whatever the input.
    pub base: usize,
    /// For each byte of the input.
    pub factor: usize,
    /// The longest certificate or revocation list that is parsed in it: [`PARSER_FACTOR`] for each byte more.
    pub parsed_max: usize,
}

/// A decoder.
#[derive(Debug)]
pub struct Target {
    /// The name of the fuzz target and of its corpus.
    pub name: &'static str,
    /// What it may allocate.
    pub bound: Bound,
    /// What must be true of any input; panics where it is not.
    pub property: fn(&Trial<'_>),
}

/// One input under trial.
#[derive(Debug)]
pub struct Trial<'a> {
    target: &'static Target,
    input: &'a [u8],
    bytes_most: Cell<usize>,
}

impl Bound {
    /// For an input of this length.
    pub fn of(self, input_bytes: usize) -> usize {
        let parsed = PARSER_FACTOR.saturating_mul(input_bytes.min(self.parsed_max));
        self.base.saturating_add(self.factor.saturating_mul(input_bytes)).saturating_add(parsed)
    }
}

impl Target {
    /// Tries one input and returns the most bytes that the decoder held at once; 0 if no [`crate::Meter`] is
    /// installed.
    ///
    /// # Panics
    /// When the property does not hold. A decoder that asks for more than its bound ends the process.
    pub fn run(&'static self, input: &[u8]) -> usize {
        TABLES.call_once(|| drop(Certificate::from_der(ANY_CERTIFICATE)));
        let trial = Trial { target: self, input, bytes_most: Cell::new(0) };
        (self.property)(&trial);
        trial.bytes_most.get()
    }
}

impl Trial<'_> {
    /// The input.
    pub fn input(&self) -> &[u8] {
        self.input
    }

    /// The input as text, if it is any.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.input).ok()
    }

    /// Calls a decoder of the input, and counts what it allocates: its answer and all on the way to it, but
    /// not the input's own buffer, which is the transport's.
    pub fn decode<T>(&self, decoder: impl FnOnce(Bytes) -> T) -> T {
        let input = Bytes::copy_from_slice(self.input);
        let owner = input.clone();
        let answer = self.count(|| decoder(input));
        drop(owner);
        answer
    }

    /// The same for a decoder that borrows what it reads.
    pub fn count<T>(&self, decoder: impl FnOnce() -> T) -> T {
        let allowance = Allowance {
            target: self.target.name,
            input_bytes: self.input.len(),
            bytes_max: self.target.bound.of(self.input.len()),
        };
        let (answer, most) = meter::within(allowance, decoder);
        self.bytes_most.set(self.bytes_most.get().max(most));
        answer
    }
}
