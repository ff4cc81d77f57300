//! `/events`: everything that happens from now on, as server-sent events. A reader that is too slow loses the
//! oldest and is told how many.

use super::health::unavailable;
use super::json;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use ledgercast_protocol::Event;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{Semaphore, broadcast};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

pub(super) fn stream(events: broadcast::Receiver<Arc<Event>>, places: &Arc<Semaphore>) -> Response {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        return unavailable("all event streams are taken; see [operations] event_streams_max");
    };
    let events = BroadcastStream::new(events).map(move |received| {
        // The place is free again when the stream is dropped.
        let _place = &place;
        let (kind, data) = match received {
            Ok(event) => json::event(&event),
            Err(BroadcastStreamRecvError::Lagged(count)) => {
                ("lagged", serde_json::json!({ "events_lost": count }))
            }
        };
        Ok::<_, Infallible>(SseEvent::default().event(kind).data(data.to_string()))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}
