//! What every step ends with: questions sent, whole blocks committed, the feed asked, timers set.

use super::Channel;
use super::feeding::Ahead;
use super::step::Step;
use crate::announce;
use crate::feed;
use crate::job::Job;
use crate::range_sync;
use crate::repair;
use crate::time::Monotonic;
use crate::timer::{ChannelTimer, Timer};
use crate::types::MemberId;
use crate::wire::{ChannelMessage, WantHeaders};
use std::time::Duration;

/// How long a job waits that a full pool refused. A guess: a few bodies' hashing.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// When the timers that are set will fire.
#[derive(Debug, Default)]
pub(super) struct Armed {
    repair: Option<Monotonic>,
    range_sync: Option<Monotonic>,
}

impl Channel {
    pub(super) fn settle(&mut self, step: &mut Step<'_>) {
        if self.is_stopped() {
            return;
        }
        self.commit_whole(step);
        self.stop_before_refused_update(step);
        self.with_range_sync(step, range_sync::Input::Check);
        self.with_feed(step, feed::Input::Check);
        self.set_timers(step);
    }

    pub(super) fn handle_timer(&mut self, step: &mut Step<'_>, timer: ChannelTimer) {
        match timer {
            ChannelTimer::Repair => {
                self.armed.repair = None;
                self.retry_jobs(step);
                self.with_announce(step, announce::Input::TimerDue);
                self.with_repair(step, repair::Input::TimerDue);
                self.look_for_pushes(step);
            }
            // The check that every step ends with does the rest.
            ChannelTimer::RangeSync => self.armed.range_sync = None,
            ChannelTimer::State | ChannelTimer::Leadership => {}
        }
    }

    fn set_timers(&mut self, step: &mut Step<'_>) {
        let due = [
            self.announce.next_due(),
            self.repair.next_due(),
            self.push_watch.next_due(),
            self.feed.next_due(step.now.monotonic, &Ahead::of(&self.window, &self.settings)),
            self.retry_at,
        ];
        let repair = due.into_iter().flatten().min();
        arm(step, &mut self.armed.repair, ChannelTimer::Repair, repair);
        arm(step, &mut self.armed.range_sync, ChannelTimer::RangeSync, self.range_sync.next_due());
    }

    /// The pool was full. The job is tried again soon: what it holds is accounted for where it came from.
    /// With too many of them it is given up, and what it would have shown is asked for again.
    pub(super) fn handle_overloaded(&mut self, step: &mut Step<'_>, job: Job) {
        if self.refused_jobs.len() < self.settings.refused_jobs_max {
            self.refused_jobs.push_back(job);
            self.retry_at = Some(step.now.monotonic.saturating_add(RETRY_AFTER));
            return;
        }
        step.refuse("verification", "verifier_overloaded", None);
        match job {
            Job::Headers { from, headers, .. } => self.give_up_headers(step, from, &headers),
            Job::Body { header, .. } => self.give_up_body(step, &header),
            Job::Certificate { .. } | Job::Revocation { .. } | Job::Statement { .. } => {}
        }
    }

    fn look_for_pushes(&mut self, step: &mut Step<'_>) {
        let (window, org) = (&self.window, self.org);
        let own_org = step.neighbours.iter().filter(|neighbour| neighbour.org == org);
        let missing = |number| {
            let slot = window.slot(number).filter(|slot| !slot.is_whole())?;
            let holders = own_org.clone().map(|neighbour| neighbour.member);
            Some(holders.filter(|member| slot.committed_by.contains(member)).collect())
        };
        let (repair, now) = (&self.repair, step.now.monotonic);
        self.push_watch.look(now, missing, |number| repair.push_awaited_until(now, number));
    }

    fn retry_jobs(&mut self, step: &mut Step<'_>) {
        if self.retry_at.is_some_and(|at| at <= step.now.monotonic) {
            self.retry_at = None;
            for job in std::mem::take(&mut self.refused_jobs) {
                step.out.verify(job);
            }
        }
    }

    pub(super) fn with_announce(&mut self, step: &mut Step<'_>, input: announce::Input) {
        let context = announce::Context { channel: step.channel, neighbours: step.neighbours };
        self.announce.handle(step.now, input, &context, step.out);
        let questions = self.announce.take_questions();
        self.send_questions(step, questions);
    }

    pub(super) fn with_range_sync(&mut self, step: &mut Step<'_>, input: range_sync::Input) {
        let linked = self.window.linked().number();
        let context = range_sync::Context {
            neighbours: step.neighbours,
            first_missing: linked.next(),
            next_proven: self.window.next_proven(linked),
            window_end: self.window.end(),
        };
        self.range_sync.handle(step.now, input, &context);
        let questions = self.range_sync.take_questions();
        self.send_questions(step, questions);
    }

    fn send_questions(&mut self, step: &mut Step<'_>, questions: Vec<(MemberId, WantHeaders)>) {
        for (member, question) in questions {
            self.questions.note(member, question);
            self.counters.header_questions += 1;
            step.send(member, ChannelMessage::WantHeaders(question));
        }
    }
}

/// Sets a timer unless it is set to fire by then anyhow.
fn arm(step: &mut Step<'_>, armed: &mut Option<Monotonic>, timer: ChannelTimer, due: Option<Monotonic>) {
    if let Some(due) = due
        && armed.is_none_or(|armed| due < armed)
    {
        *armed = Some(due);
        step.out.set_timer(Timer::Channel(step.channel, timer), due);
    }
}
