//! Claims with their verdicts and figures: a table for people, lines of JSON for scripts.

use serde_json::json;

/// What was claimed so far.
pub(super) struct Claims {
    prints_json: bool,
    claims: Vec<Claim>,
}

struct Claim {
    is_kept: bool,
    text: String,
    figure: String,
}

impl Claims {
    pub(super) fn new(prints_json: bool) -> Self {
        Self { prints_json, claims: Vec::new() }
    }

    /// A claim with what was measured.
    pub(super) fn add(&mut self, is_kept: bool, text: impl Into<String>, figure: impl Into<String>) {
        let claim = Claim { is_kept, text: text.into(), figure: figure.into() };
        match self.prints_json {
            true => println!(
                "{}",
                json!({ "claim": claim.text, "passed": claim.is_kept, "figure": claim.figure })
            ),
            false => eprintln!("  {} {}: {}", verdict(claim.is_kept), claim.text, claim.figure),
        }
        self.claims.push(claim);
    }

    /// A claim that could not be measured because something failed before.
    pub(super) fn broken(&mut self, text: &str, error: &str) {
        self.add(false, text, error);
    }

    /// Prints the table for people; the exit code: 0 if all are kept.
    pub(super) fn close(&self) -> u8 {
        let failed = self.claims.iter().filter(|claim| !claim.is_kept).count();
        if !self.prints_json {
            let width = self.claims.iter().map(|claim| claim.text.chars().count()).max().unwrap_or(0);
            println!();
            for claim in &self.claims {
                println!("{}  {:width$}  {}", verdict(claim.is_kept), claim.text, claim.figure);
            }
        }
        match failed {
            0 => eprintln!("all {} claims are kept", self.claims.len()),
            _ => eprintln!("{failed} of {} claims are not kept", self.claims.len()),
        }
        u8::from(failed > 0)
    }
}

fn verdict(is_kept: bool) -> &'static str {
    if is_kept { "PASS" } else { "FAIL" }
}
