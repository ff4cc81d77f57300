//! Stand-in for the `bindgen` crate: gives RocksDB's build script the bindings that are checked in
//! beside this file, so that no machine needs libclang.
//!
//! It answers for one header and one set of options only. Anything else is refused with the cure, and
//! it never reads or writes a file other than the header it is given and the output it is asked for.

#![forbid(unsafe_code)]

mod sha256;

use std::{error, fmt, fs, io, path::Path};

/// What real bindgen made of RocksDB's `c.h`, narrowed to `rocksdb_*` and without comments, so that
/// nothing of the system it ran on is inside.
const BINDINGS: &str = include_str!("rocksdb_bindings.rs");

/// SHA-256 of the `c.h` the bindings were made from (librocksdb-sys 0.19.0+11.8.1).
const HEADER_SHA256: &str = "d2d96eb10b8670e37cb51c91758e39d7f10acfede72ab69e765326585eefb41f";

/// The calls of librocksdb-sys's build script, in its order, which shaped the bindings.
const OPTIONS: [&str; 4] =
    ["derive_debug(false)", "blocklist_type(max_align_t)", "ctypes_prefix(libc)", "size_t_is_usize(true)"];

const CURE: &str =
    "run `cargo xtask bindings --write` where libclang is installed, and commit third_party/bindgen";

/// The part of bindgen's `Builder` that librocksdb-sys calls.
#[derive(Debug, Default)]
pub struct Builder {
    header: String,
    options: Vec<String>,
}

impl Builder {
    /// Names the C header. Only its hash is looked at.
    #[must_use]
    pub fn header(mut self, header: impl Into<String>) -> Self {
        self.header = header.into();
        self
    }

    /// Whether types without `Debug` would get it derived.
    #[must_use]
    pub fn derive_debug(self, derive: bool) -> Self {
        self.option(format!("derive_debug({derive})"))
    }

    /// Leaves a type out.
    #[must_use]
    pub fn blocklist_type(self, name: impl AsRef<str>) -> Self {
        self.option(format!("blocklist_type({})", name.as_ref()))
    }

    /// The path in front of C's primitive types.
    #[must_use]
    pub fn ctypes_prefix(self, prefix: impl Into<String>) -> Self {
        self.option(format!("ctypes_prefix({})", prefix.into()))
    }

    /// Whether `size_t` is `usize`.
    #[must_use]
    pub fn size_t_is_usize(self, is_usize: bool) -> Self {
        self.option(format!("size_t_is_usize({is_usize})"))
    }

    /// Hands out the checked-in bindings.
    ///
    /// # Errors
    /// When the header cannot be read, is not the one the bindings were made from, or the options differ.
    pub fn generate(self) -> Result<Bindings, BindgenError> {
        if self.options != OPTIONS {
            return Err(BindgenError::Options(self.options));
        }
        let header = match fs::read(&self.header) {
            Ok(header) => header,
            Err(cause) => return Err(BindgenError::Unreadable { header: self.header, cause }),
        };
        let found = sha256::hex(&header);
        if found != HEADER_SHA256 {
            return Err(BindgenError::Header { header: self.header, found });
        }
        Ok(Bindings(()))
    }

    fn option(mut self, option: String) -> Self {
        self.options.push(option);
        self
    }
}

/// The bindings, ready to be written.
#[derive(Debug)]
pub struct Bindings(());

impl Bindings {
    /// Writes the bindings as Rust source.
    ///
    /// # Errors
    /// Whatever writing the file failed with.
    pub fn write_to_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, BINDINGS)
    }
}

/// Why the checked-in bindings do not fit.
pub enum BindgenError {
    /// The header cannot be read.
    Unreadable {
        /// Its path.
        header: String,
        /// What reading it failed with.
        cause: io::Error,
    },
    /// The header is another one than the bindings were made from.
    Header {
        /// Its path.
        header: String,
        /// Its SHA-256.
        found: String,
    },
    /// The build script asks for other options than the bindings were made with.
    Options(Vec<String>),
}

impl fmt::Display for BindgenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { header, cause } => write!(f, "cannot read the C header {header}: {cause}"),
            Self::Header { header, found } => write!(
                f,
                "third_party/bindgen holds bindings for the c.h with sha-256 {HEADER_SHA256}, but {header} has \
                 {found}: RocksDB's version has changed (see librocksdb-sys in Cargo.lock, or \
                 ROCKSDB_INCLUDE_DIR). To cure it, {CURE}"
            ),
            Self::Options(options) => write!(
                f,
                "third_party/bindgen holds bindings made with {OPTIONS:?}, but the build script asks for \
                 {options:?}: it is not the librocksdb-sys they were made for. To cure it, {CURE}"
            ),
        }
    }
}

/// The build script shows errors by `expect`, which prints `Debug`: it has to be the readable text too.
impl fmt::Debug for BindgenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for BindgenError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_librocksdb_sys_does(header: &Path) -> Builder {
        Builder::default()
            .header(header.to_string_lossy())
            .derive_debug(false)
            .blocklist_type("max_align_t")
            .ctypes_prefix("libc")
            .size_t_is_usize(true)
    }

    #[test]
    fn refuses_another_header_and_names_the_cure() {
        let header = std::env::temp_dir().join(format!("bindgen-stand-in-{}.h", std::process::id()));
        fs::write(&header, "int other(void);").unwrap();

        let refusal = as_librocksdb_sys_does(&header).generate().unwrap_err().to_string();

        fs::remove_file(&header).unwrap();
        assert!(refusal.contains(HEADER_SHA256), "{refusal}");
        assert!(refusal.contains("cargo xtask bindings"), "{refusal}");
    }

    #[test]
    fn refuses_other_options() {
        let refusal = Builder::default().header("c.h").derive_debug(true).generate().unwrap_err();

        assert!(matches!(refusal, BindgenError::Options(_)), "{refusal}");
    }

    #[test]
    fn names_the_header_it_cannot_read() {
        let refusal = as_librocksdb_sys_does(Path::new("no/such/c.h")).generate().unwrap_err();

        assert!(refusal.to_string().contains("no/such/c.h"), "{refusal}");
    }

    #[test]
    fn bindings_name_nothing_of_the_system_they_were_made_on() {
        for foreign in ["/usr", "__GLIBC", "c_long", "c_ulong,"] {
            assert!(!BINDINGS.contains(foreign), "{foreign}");
        }
    }
}
