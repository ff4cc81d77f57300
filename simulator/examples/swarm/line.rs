//! What is kept of one seed: a line of JSON.

use serde_json::{Value, json};
use std::time::Duration;

/// One seed's outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Line {
    pub(crate) seed: u64,
    /// What broke, if anything did.
    pub(crate) failure: Option<String>,
    /// What was run.
    pub(crate) plan: String,
    pub(crate) simulated: Duration,
    /// Simulated time of all peers together.
    pub(crate) node_hours: f64,
    /// Time of a processor that it cost.
    pub(crate) cpu: Duration,
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) liars: u64,
    pub(crate) accusations: u64,
    pub(crate) halted: u64,
    pub(crate) updates: u64,
    /// Evictions of members that were really gone, or liars.
    pub(crate) evictions: u64,
    pub(crate) recovery: Duration,
    /// The hash over all events.
    pub(crate) trace: String,
}

impl Line {
    pub(crate) fn to_json(&self, campaign: &str) -> Value {
        json!({
            "campaign": campaign,
            "version": env!("CARGO_PKG_VERSION"),
            "seed": self.seed,
            "failure": self.failure,
            "plan": self.plan,
            "simulated_s": self.simulated.as_secs_f64(),
            "node_hours": self.node_hours,
            "cpu_s": self.cpu.as_secs_f64(),
            "events": self.events,
            "deliveries": self.deliveries,
            "liars": self.liars,
            "accusations": self.accusations,
            "halted": self.halted,
            "updates": self.updates,
            "evictions": self.evictions,
            "recovery_s": self.recovery.as_secs_f64(),
            "trace": self.trace,
        })
    }

    /// `None` when it is no such line.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let count = |name: &str| value[name].as_u64();
        let time = |name: &str| Duration::try_from_secs_f64(value[name].as_f64()?).ok();
        Some(Self {
            seed: count("seed")?,
            failure: value["failure"].as_str().map(str::to_owned),
            plan: value["plan"].as_str()?.to_owned(),
            simulated: time("simulated_s")?,
            node_hours: value["node_hours"].as_f64()?,
            cpu: time("cpu_s")?,
            events: count("events")?,
            deliveries: count("deliveries")?,
            liars: count("liars")?,
            accusations: count("accusations")?,
            halted: count("halted")?,
            updates: count("updates")?,
            evictions: count("evictions")?,
            recovery: time("recovery_s")?,
            trace: value["trace"].as_str()?.to_owned(),
        })
    }
}
