//! A wire between processes that a test can cut and mend: forwards TCP on the loopback, byte by byte.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A forwarder to one address. Dropping it cuts it and ends its thread.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    is_cut: AtomicBool,
    is_ending: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A wire to `target`, on a free port.
    ///
    /// # Errors
    /// No port, or no thread.
    pub fn start(target: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            is_cut: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepted = Arc::clone(&shared);
        let accepting = std::thread::Builder::new().spawn(move || accepted.accept(&listener))?;
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and every new one at once.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        for stream in self.shared.open().drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_ending.load(Ordering::SeqCst) {
                return;
            }
            // Whoever is not forwarded sees its connection end.
            if let Ok(client) = client {
                let _ = self.forward(client);
            }
        }
    }

    fn forward(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(&self.target)?;
        let pairs = [(client.try_clone()?, server.try_clone()?), (server.try_clone()?, client.try_clone()?)];
        let mut open = self.open();
        open.extend([client, server]);
        if self.is_cut.load(Ordering::SeqCst) {
            open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
        drop(open);
        for (mut from, mut to) in pairs {
            // It ends with the connection, and its end ends the connection.
            std::thread::Builder::new().spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            })?;
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread, which then sees that it is to end.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
