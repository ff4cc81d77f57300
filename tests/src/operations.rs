//! A node's operations HTTP, as a scraper reads it.

use serde_json::Value;
use std::time::Duration;

/// Reads the operations endpoint at `127.0.0.1:port` or wherever it listens.
#[derive(Clone, Debug)]
pub struct OperationsClient {
    base: String,
    agent: ureq::Agent,
}

impl OperationsClient {
    /// A client of `host:port`.
    pub fn new(address: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .http_status_as_error(false)
            .build();
        Self { base: format!("http://{address}"), agent: config.into() }
    }

    /// Status and body of a GET.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn text(&self, path: &str) -> Result<(u16, String), String> {
        let url = format!("{}{path}", self.base);
        let mut response = self.agent.get(&url).call().map_err(|error| format!("GET {url}: {error}"))?;
        let body = response.body_mut().read_to_string().map_err(|error| format!("GET {url}: {error}"))?;
        Ok((response.status().as_u16(), body))
    }

    /// A GET that must answer 200 with JSON.
    ///
    /// # Errors
    /// Nobody answers, or something else.
    pub fn json(&self, path: &str) -> Result<Value, String> {
        let (status, body) = self.text(path)?;
        if status != 200 {
            return Err(format!("GET {path}: status {status}: {body}"));
        }
        serde_json::from_str(&body).map_err(|error| format!("GET {path}: {error}"))
    }

    /// The sum of a counter's or gauge's values with these labels; 0 when the metric has values with others
    /// only.
    ///
    /// # Errors
    /// Nobody answers, or the metric has no value at all: a misspelt one would be 0 for ever.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64, String> {
        let value = self.metric_if_any(name, labels)?;
        value.ok_or_else(|| format!("GET /metrics: there is no value of {name}"))
    }

    /// The same for what may not have happened yet, which is not listed then: `None` without any value.
    ///
    /// # Errors
    /// Nobody answers, or not with metrics.
    pub fn metric_if_any(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<f64>, String> {
        let (status, text) = self.text("/metrics")?;
        if status != 200 {
            return Err(format!("GET /metrics: status {status}: {text}"));
        }
        let mut sum = None;
        for line in text.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            if series.split('{').next() != Some(name) {
                continue;
            }
            let sum = sum.get_or_insert(0.0);
            if labels.iter().all(|(key, value)| series.contains(&format!("{key}=\"{value}\""))) {
                *sum += value.parse::<f64>().map_err(|error| format!("{line:?}: {error}"))?;
            }
        }
        Ok(sum)
    }
}
