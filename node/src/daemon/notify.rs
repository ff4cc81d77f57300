//! Tells systemd that the daemon is ready or stopping (`Type=notify`), where systemd asks for it.

use std::os::unix::net::UnixDatagram;

/// Sends a state such as `READY=1`; without `NOTIFY_SOCKET` nothing happens.
pub(super) fn notify(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent = UnixDatagram::unbound().and_then(|datagram| datagram.send_to(state.as_bytes(), &socket));
    if let Err(error) = sent {
        tracing::warn!(%error, ?socket, "systemd could not be told {state}");
    }
}
