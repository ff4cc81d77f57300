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

    /// The sum of a counter's or gauge's values with these labels; 0 when there is none: what has not
    /// happened yet is not listed.
    ///
    /// # Errors
    /// Nobody answers, or not with metrics.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64, String> {
        let (status, text) = self.text("/metrics")?;
        if status != 200 {
            return Err(format!("GET /metrics: status {status}: {text}"));
        }
        let is_meant = |series: &str| {
            let base = series.split('{').next().unwrap_or_default();
            base == name && labels.iter().all(|(key, value)| series.contains(&format!("{key}=\"{value}\"")))
        };
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            is_meant(series).then(|| value.parse::<f64>().map_err(|error| format!("{line:?}: {error}")))
        });
        values.sum()
    }
}
