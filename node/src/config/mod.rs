//! Configuration files: commented TOML, unknown keys refused with line and caret, overrides from the
//! environment.
//!
//! Reading: the file alone is checked first, so that errors show its line; then `LEDGERCAST_<SECTION>_<KEY>`
//! variables replace values and the whole is checked again.

mod check;
mod duration;
mod orderer;
mod peer;
mod section;
mod sections;

pub use check::WrongValue;
pub use duration::HumanDuration;
pub use orderer::OrdererFile;
pub use peer::PeerFile;
pub use sections::{ApiSection, LogFormat, LogSection, OperationsSection, StoreSection, VerificationSection};

use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest configuration file read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Prefix of the variables that override keys.
const PREFIX: &str = "LEDGERCAST_";

/// A kind of configuration file.
pub trait ConfigFile: DeserializeOwned {
    /// Its sections: variables that name another one are not meant for it.
    const SECTIONS: &'static [&'static str];

    /// Looks for values that parse and cannot work.
    ///
    /// # Errors
    /// The first such value.
    fn check(&self) -> Result<(), WrongValue>;
}

/// Why a configuration is refused; nothing was started.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration {file}: {source}; {cure}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
        /// What helps.
        cure: &'static str,
    },
    /// The file is too large to be a configuration.
    #[error("configuration {file} has {bytes} bytes, more than {FILE_BYTES_MAX}: is it the right file?")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A key or value is wrong; the text shows line, caret and what was expected.
    #[error("configuration {file} is wrong:\n{error}")]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: toml::de::Error,
    },
    /// An overriding variable is wrong.
    #[error("environment variable {variable} is wrong: {error}")]
    Variable {
        /// The variable.
        variable: String,
        /// What is wrong.
        error: String,
    },
    /// A value parses and cannot work.
    #[error("configuration {place}: [{section}] {key}: {error}")]
    Value {
        /// The file, and the line if the key stands there.
        place: String,
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What is wrong, and the cure.
        error: String,
    },
}

/// Reads a configuration file of type `T` with the process's environment on top.
///
/// # Errors
/// [`ConfigError`] names file, line and cure.
pub fn load<T: ConfigFile>(file: &Path) -> Result<T, ConfigError> {
    load_with(file, std::env::vars().filter(|(name, _)| name.starts_with(PREFIX)))
}

/// Reads a configuration file with these variables on top.
///
/// # Errors
/// [`ConfigError`] names file, line and cure.
pub fn load_with<T: ConfigFile>(
    file: &Path,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let text = read(file)?;
    let content = |error| ConfigError::Content { file: file.to_owned(), error };
    let plain: T = toml::from_str(&text).map_err(content)?;
    plain.check().map_err(|wrong| wrong_value(file, wrong))?;
    let mut table: toml::Table = toml::from_str(&text).map_err(content)?;
    let (mut is_overridden, mut names) = (false, Vec::new());
    for (variable, value) in variables {
        is_overridden |= apply(&mut table, T::SECTIONS, &variable, &value);
        let refused = |error: toml::de::Error| ConfigError::Variable {
            variable: variable.clone(),
            error: error.message().to_owned(),
        };
        T::deserialize(table.clone()).map_err(refused)?;
        names.push(variable);
    }
    if !is_overridden {
        return Ok(plain);
    }
    let changed = T::deserialize(table).map_err(content)?;
    changed.check().map_err(|wrong| {
        let by_variable = variable_of(wrong.section, wrong.key);
        match names.contains(&by_variable) {
            true => ConfigError::Variable { variable: by_variable, error: wrong.error },
            false => wrong_value(file, wrong),
        }
    })?;
    Ok(changed)
}

fn wrong_value(file: &Path, WrongValue { section, key, error }: WrongValue) -> ConfigError {
    ConfigError::Value { place: place_of(file, section, key), section, key, error }
}

fn variable_of(section: &str, key: &str) -> String {
    format!("{PREFIX}{}_{}", section.to_ascii_uppercase(), key.to_ascii_uppercase())
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let failed = |source: std::io::Error| {
        let cure = match source.kind() {
            std::io::ErrorKind::NotFound => {
                "`ledgercast testnet` writes a complete set, configs/ has every key"
            }
            std::io::ErrorKind::PermissionDenied => "let this process's user read it",
            std::io::ErrorKind::InvalidData => "it must be UTF-8 text",
            _ => "check the path and the disk",
        };
        ConfigError::Read { file: file.to_owned(), source, cure }
    };
    let bytes = std::fs::metadata(file).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { file: file.to_owned(), bytes });
    }
    std::fs::read_to_string(file).map_err(failed)
}

/// Puts `LEDGERCAST_SECTION_KEY=value` into the table. A section's name has no underscore but `state_info`
/// and `range_sync`, so the longest section that fits is meant. Says whether the variable names a section of
/// this file at all: other `LEDGERCAST_` variables belong to other programs.
fn apply(table: &mut toml::Table, sections: &[&str], variable: &str, value: &str) -> bool {
    let Some(rest) = variable.strip_prefix(PREFIX) else {
        return false;
    };
    let rest = rest.to_ascii_lowercase();
    let section = sections
        .iter()
        .filter(|section| rest.strip_prefix(**section).is_some_and(|key| key.starts_with('_')))
        .max_by_key(|section| section.len());
    let Some(section) = section else {
        return false;
    };
    let key = rest[section.len() + 1..].to_owned();
    let entry = table.entry((*section).to_owned()).or_insert_with(|| toml::Table::new().into());
    if let Some(section) = entry.as_table_mut() {
        section.insert(key, parse_value(value));
    }
    true
}

/// Where a key stands: the file, and the line unless its default is in force.
pub(crate) fn place_of(file: &Path, section: &str, key: &str) -> String {
    let text = read(file).unwrap_or_default();
    match line_of(&text, section, key) {
        Some(line) => format!("{}, line {line}", file.display()),
        None => file.display().to_string(),
    }
}

fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let mut is_inside = false;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with('[') {
            is_inside = line == format!("[{section}]");
        }
        let name = line.split_once('=').map(|(name, _)| name.trim());
        if is_inside && name == Some(key) {
            return Some(index + 1);
        }
    }
    None
}

/// A TOML value where the text is one, else the text itself.
fn parse_value(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text<T: ConfigFile>(text: &str, variables: &[(&str, &str)]) -> Result<T, ConfigError> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("peer.toml");
        std::fs::write(&file, text).expect("write");
        load_with(&file, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    const MINIMAL: &str = "[peer]\ninternal_endpoint = \"127.0.0.1:7051\"\n";

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_expected_keys() {
        let text = format!("{MINIMAL}\n[membership]\nalive_intervall = \"5s\"\n");

        let error = load_text::<PeerFile>(&text, &[]).expect_err("unknown key").to_string();

        assert!(error.contains("line 5"), "{error}");
        assert!(error.contains("alive_intervall") && error.contains("`alive_interval`"), "{error}");
        assert!(error.contains('^'), "{error}");
    }

    #[test]
    fn a_duration_without_unit_is_refused_with_its_line() {
        let text = format!("{MINIMAL}\n[membership]\nexpiry = \"25\"\n");

        let error = load_text::<PeerFile>(&text, &[]).expect_err("no unit").to_string();

        assert!(error.contains("line 5") && error.contains("25s"), "{error}");
    }

    #[test]
    fn a_variable_overrides_a_key_and_a_wrong_one_is_named() {
        let over = [("LEDGERCAST_STATE_INFO_INTERVAL", "1s"), ("LEDGERCAST_API_STREAMS_MAX", "7")];
        let file: PeerFile = load_text(MINIMAL, &over).expect("valid");
        let wrong = load_text::<PeerFile>(MINIMAL, &[("LEDGERCAST_API_STREAMS_MAX", "much")]);

        assert_eq!(file.state_info.interval.get().as_secs(), 1);
        assert_eq!(file.api.streams_max, 7);
        let error = wrong.expect_err("not a number").to_string();
        assert!(error.contains("LEDGERCAST_API_STREAMS_MAX"), "{error}");
    }

    #[test]
    fn a_key_is_found_in_its_own_section_only() {
        let text = "[api]\nlisten = \"a\"\n\n[operations]\n# listen = \"b\"\nlisten = \"c\"\n";

        assert_eq!(line_of(text, "api", "listen"), Some(2));
        assert_eq!(line_of(text, "operations", "listen"), Some(6));
        assert_eq!(line_of(text, "peer", "listen"), None);
    }

    /// L7
    #[test]
    fn contradictory_leadership_is_refused_with_the_key_and_the_cure() {
        let refused = |lines: &str| {
            let text = format!("{MINIMAL}\n[leadership]\n{lines}\n");
            load_text::<PeerFile>(&text, &[]).expect("it parses").leadership.to_config().expect_err("refused")
        };

        let (key, cure) = refused("leader = \"never\"\nleaders_per_org = 1");
        assert!(key == "leaders_per_org" && cure.contains("auto"), "{cure}");
        let (key, cure) = refused("leader = \"always\"\nleaders_per_org = 2");
        assert!(key == "leaders_per_org" && cure.contains("auto"), "{cure}");
        let (key, cure) = refused("leaders_per_org = 0");
        assert!(key == "leaders_per_org" && cure.contains("at least 1"), "{cure}");
        let (key, cure) = refused("renew_every = \"10s\"");
        assert!(key == "renew_every" && cure.contains("claim_for"), "{cure}");
    }

    #[test]
    fn a_variable_of_another_kind_of_file_changes_nothing() {
        let file: OrdererFile = load_text("", &[("LEDGERCAST_MEMBERSHIP_EXPIRY", "1s")]).expect("valid");

        assert_eq!(file, OrdererFile::default());
    }

    #[test]
    fn a_value_that_cannot_work_is_refused_with_its_line_or_its_variable_and_the_cure() {
        let wrong = [
            ("api", "accepted_waiting_max = 0", "1 to 1000000"),
            ("api", "requests_waiting_max = 9_000_000_000_000_000_000", "1 to 1000000"),
            ("api", "handshake_timeout = \"1ns\"", "10ms"),
            ("operations", "connections_max = 0", "1 to 1000000"),
            ("operations", "request_timeout = \"2h\"", "1h"),
            ("operations", "event_streams_max = 64", "set fewer"),
            ("verification", "queue_max = 0", "1 to 1000000"),
            ("verification", "threads = 100_000", "0 to 1024"),
            ("store", "write_blocks_max = 0", "1 to 1000000"),
            ("blocks", "deferred_headers_max = 0", "1 to 1000000"),
            ("feed", "headers_in_flight_max = 0", "1 to 1000000"),
            ("feed", "address_overrides = { \"orderer0\" = \"10.0.0.5:7050\" }", "host:port"),
            ("network", "dials_waiting_max = 0", "at least 1"),
            ("network", "data_queue_bytes_max = 5", "cannot hold one frame"),
        ];
        for (section, line, cure) in wrong {
            let text = format!("{MINIMAL}\n[{section}]\n{line}\n");
            let key = line.split(' ').next().expect("a key");

            let error = load_text::<PeerFile>(&text, &[]).expect_err(line).to_string();

            for word in ["line 5", section, key, cure] {
                assert!(error.contains(word), "no {word:?} in {error}");
            }
        }

        let over = [("LEDGERCAST_API_STREAMS_MAX", "0")];
        let error = load_text::<OrdererFile>("", &over).expect_err("no streams").to_string();
        assert!(error.contains("LEDGERCAST_API_STREAMS_MAX") && error.contains("1 to 1000000"), "{error}");
    }

    #[test]
    fn the_shipped_files_hold_exactly_the_defaults() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let peer: PeerFile = load_with(&folder.join("peer.toml"), std::iter::empty()).expect("peer.toml");
        let orderer: OrdererFile =
            load_with(&folder.join("orderer.toml"), std::iter::empty()).expect("orderer.toml");

        let minimal: PeerFile =
            load_text("[peer]\ninternal_endpoint = \"peer0.org1.example:7051\"\n", &[]).expect("minimal");
        let empty: OrdererFile = load_text("", &[]).expect("empty");
        assert_eq!(peer, minimal);
        assert_eq!(orderer, empty);
    }
}
