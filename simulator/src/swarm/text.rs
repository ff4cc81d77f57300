//! Plans as lines of text, both ways. [`super::plan`] shows one.

use super::crime_kind::CrimeKind;
use super::plan::{Fault, FaultKind, Liar, Place, Plan, PlanError, Update, UpdateKind};
use std::fmt;
use std::str::FromStr;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels: Vec<String> = self.channels.iter().map(|orgs| join(orgs, "+")).collect();
        write!(f, "seed={} orgs={} channels={}", self.seed, join(&self.orgs, ","), channels.join(","))?;
        write!(f, " blocks={} payload={} pause={}", self.blocks, self.payload, self.pause)?;
        write!(f, " latency={} loss={} followers={}", self.latency, self.loss, self.followers)?;
        if !self.faults.is_empty() {
            write!(f, " faults={}", join(&self.faults, ","))?;
        }
        if !self.updates.is_empty() {
            write!(f, " updates={}", join(&self.updates, ","))?;
        }
        if !self.liars.is_empty() {
            write!(f, " liars={}", join(&self.liars, ","))?;
        }
        match self.fork {
            Some((channel, number)) => write!(f, " fork={channel}@{number}"),
            None => Ok(()),
        }
    }
}

fn join<T: ToString>(items: &[T], with: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(with)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.org, self.peer)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FaultKind::ALL.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name);
        write!(f, "{name}@{}-{}", self.from, self.until)?;
        match self.places.is_empty() {
            true => Ok(()),
            false => write!(f, ":{}", join(&self.places, "+")),
        }
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            UpdateKind::Orderer => f.write_str("orderer")?,
            UpdateKind::Anchors => f.write_str("anchors")?,
            UpdateKind::Limits => f.write_str("limits")?,
            UpdateKind::Org(org) => write!(f, "org{org}")?,
        }
        write!(f, "@{}:{}", self.at, self.channel)
    }
}

impl fmt::Display for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partial = if self.is_partial { "/" } else { "" };
        write!(f, "{}{partial}:{}", self.place, join(&self.crimes, "+"))
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self {
            seed: 0,
            orgs: Vec::new(),
            channels: Vec::new(),
            blocks: 20,
            payload: 5_000,
            pause: 250,
            latency: 250,
            loss: 0,
            followers: 0,
            faults: Vec::new(),
            updates: Vec::new(),
            liars: Vec::new(),
            fork: None,
        };
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| PlanError::Word(word.to_owned()))?;
            match name {
                "seed" => plan.seed = number("seed", value)?,
                "orgs" => plan.orgs = list("number of peers", value, ',')?,
                "channels" => {
                    let orgs = value.split(',').map(|orgs| list("org", orgs, '+'));
                    plan.channels = orgs.collect::<Result<_, _>>()?;
                }
                "blocks" => plan.blocks = number("number of blocks", value)?,
                "payload" => plan.payload = number("number of bytes", value)?,
                "pause" => plan.pause = number("time", value)?,
                "latency" => plan.latency = number("time", value)?,
                "loss" => plan.loss = number("loss", value)?,
                "followers" => plan.followers = number("number of followers", value)?,
                "faults" => plan.faults = list("fault", value, ',')?,
                "updates" => plan.updates = list("update", value, ',')?,
                "liars" => plan.liars = list("liar", value, ',')?,
                "fork" => {
                    let (channel, block) = halves("fork", value, '@')?;
                    plan.fork = Some((number("channel", channel)?, number("block", block)?));
                }
                _ => return Err(PlanError::Word(word.to_owned())),
            }
        }
        plan.check()?;
        Ok(plan)
    }
}

fn number<T: FromStr>(what: &'static str, text: &str) -> Result<T, PlanError> {
    text.parse().map_err(|_| PlanError::Value(what, text.to_owned()))
}

fn list<T: FromStr>(what: &'static str, text: &str, by: char) -> Result<Vec<T>, PlanError> {
    text.split(by).map(|item| number(what, item)).collect()
}

fn halves<'a>(what: &'static str, text: &'a str, by: char) -> Result<(&'a str, &'a str), PlanError> {
    text.split_once(by).ok_or_else(|| PlanError::Value(what, text.to_owned()))
}

impl FromStr for Place {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (org, peer) = halves("peer", text, '.')?;
        Ok(Self { org: number("org", org)?, peer: number("peer", peer)? })
    }
}

impl FromStr for Fault {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (what, places) = text.split_once(':').map_or((text, None), |(it, places)| (it, Some(places)));
        let (name, times) = halves("fault", what, '@')?;
        let (from, until) = halves("time", times, '-')?;
        let kind = FaultKind::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        Ok(Self {
            kind: kind.ok_or_else(|| PlanError::Value("fault", name.to_owned()))?,
            from: number("time", from)?,
            until: number("time", until)?,
            places: places.map_or(Ok(Vec::new()), |places| list("peer", places, '+'))?,
        })
    }
}

impl FromStr for Update {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (name, rest) = halves("update", text, '@')?;
        let (at, channel) = halves("update", rest, ':')?;
        let kind = match name {
            "orderer" => UpdateKind::Orderer,
            "anchors" => UpdateKind::Anchors,
            "limits" => UpdateKind::Limits,
            _ => UpdateKind::Org(number("update", name.strip_prefix("org").unwrap_or(name))?),
        };
        Ok(Self { kind, at: number("time", at)?, channel: number("channel", channel)? })
    }
}

impl FromStr for Liar {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (place, crimes) = halves("liar", text, ':')?;
        let whole = place.strip_suffix('/');
        let crimes = crimes.split('+').map(CrimeKind::from_str).collect::<Result<_, _>>()?;
        Ok(Self { place: whole.unwrap_or(place).parse()?, is_partial: whole.is_some(), crimes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_is_printed_as_is_the_plan() {
        for seed in 0..300 {
            let plan = Plan::draw(seed);

            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
    }

    #[test]
    fn a_line_that_describes_no_world_is_refused() {
        for line in [
            "",
            "seed=1",
            "seed=1 orgs=3 channels=1",
            "seed=1 orgs=3,0 channels=0",
            "seed=1 orgs=3 channels=0 liars=0.3:replays",
            "seed=1 orgs=3 channels=0 liars=0.1:kindness",
            "seed=1 orgs=1 channels=0 liars=0.0:replays",
            "seed=1 orgs=3 channels=0 faults=crash@1-2:1.0",
            "seed=1 orgs=3 channels=0 fork=1@5",
            "seed=1 orgs=3 channels=0 weather=fine",
            "seed=1 orgs=300 channels=0",
        ] {
            assert!(line.parse::<Plan>().is_err(), "{line}");
        }
    }
}
