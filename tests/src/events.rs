//! A node's `/events`, read as they come.

use crate::wait::wait_for;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long one read may wait before the condition is looked at again.
const READ_TIMEOUT: Duration = Duration::from_millis(50);

/// An open stream of events with all that it told so far.
#[derive(Debug)]
pub struct EventStream {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl EventStream {
    /// Opens the stream at an operations endpoint, `host:port`; events from now on are in it.
    ///
    /// # Errors
    /// Nobody answers, or with something else.
    pub fn open(address: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("events of {address}: {error}");
        let mut stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_read_timeout(Some(READ_TIMEOUT)).map_err(failed)?;
        let request = format!("GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut events = Self { stream, bytes: Vec::new() };
        // The header comes when the stream is subscribed.
        events.wait_for("text/event-stream", Duration::from_secs(10))?;
        Ok(events)
    }

    /// Reads until all these words stand on one line; all that was told so far.
    ///
    /// # Errors
    /// They do not come in time.
    pub fn wait_for_line(&mut self, words: &[&str], deadline: Duration) -> Result<String, String> {
        wait_for(&format!("an event with {words:?}"), deadline, || {
            self.read()?;
            let text = self.text();
            match text.lines().any(|line| words.iter().all(|word| line.contains(word))) {
                true => Ok(text),
                false => Err(format!("{} bytes were told", text.len())),
            }
        })
    }

    /// Reads what has come, for a second at most while more comes; all lines that were told so far.
    ///
    /// # Errors
    /// The stream has ended.
    pub fn lines_so_far(&mut self) -> Result<Vec<String>, String> {
        let started = Instant::now();
        loop {
            let before = self.bytes.len();
            self.read()?;
            if self.bytes.len() == before || started.elapsed() > Duration::from_secs(1) {
                return Ok(self.text().lines().map(str::to_owned).collect());
            }
        }
    }

    fn wait_for(&mut self, word: &str, deadline: Duration) -> Result<String, String> {
        self.wait_for_line(&[word], deadline)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Takes what is there, or waits a little for it.
    fn read(&mut self) -> Result<(), String> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err("the stream has ended".to_owned()),
            Ok(count) => {
                self.bytes.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) => match error.kind() {
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Ok(()),
                _ => Err(error.to_string()),
            },
        }
    }
}
