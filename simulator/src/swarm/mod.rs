//! The standing campaign. Everything in a run is drawn from its seed: peers, orgs, channels, links, faults,
//! config updates, liars, colluding orderers. Safety is checked at every event; then everything heals but the
//! loss and the liars, and all that are honest must reach the tip within a bound.
//!
//! ```text
//! seed ─► Plan::draw ─► Plan ◄─► a line of text, which a test can hold
//!                        │
//!                        ├─► run: trouble, then recovery ─► Report | Failure
//!                        └─► minimise: what of it is needed for a failure
//! ```
//!
//! Where orderers collude, the outcome that is asked for is the safe halt: everybody honest stands still with
//! the evidence; or nobody was shown the other branch, and everybody is at the tip.
//!
//! Two campaigns of their own: `slander` runs membership for many node-hours against a third that slanders;
//! `worst_mix` looks for the mix of crimes of a third that costs the honest most.

mod crime_kind;
mod draw;
mod lies;
mod minimise;
mod plan;
mod report;
mod run;
pub mod slander;
mod steps;
mod text;
pub mod worst_mix;

pub use crime_kind::{CrimeKind, FloodKind};
pub use minimise::{Minimised, minimise};
pub use plan::{Fault, FaultKind, Liar, Place, Plan, PlanError, Update, UpdateKind};
pub use report::Report;
pub use run::{RECOVERY_MAX, Run, run};
