//! A file that says where an engine connects.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;

use super::json::{self, JsonError};
use super::{Address, AddressError};

/// Where an engine connects, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Where.
    pub address: Address,
    /// Used for [`Address::Https`] alone. Without it such an address is not verified. Only a `.json` file has
    /// room for it.
    pub tls: Option<Tls>,
}

/// How the engine, as the client, secures a connection.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tls {
    /// Who vouches for the plugin's certificate. Without it the certificate is not verified, whatever else is
    /// said.
    #[serde(rename = "CAFile", skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The engine's own certificate. Used only together with its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// The key of the engine's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Whether the plugin's certificate is not verified.
    pub insecure_skip_verify: bool,
    /// Whether nobody but `ca_file` is trusted. Otherwise those that the host trusts are as well.
    pub exclusive_root_pools: bool,
    /// The least TLS version as the protocol counts them: 771 is TLS 1.2, which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<u16>,
    /// What the key is encrypted with. Engine 29 and later do not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
}

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Its name ends neither in `.spec` nor in `.json`.
    #[error("`{}` ends neither in `.spec` nor in `.json`", .path.display())]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// A `.spec` file is one URL, and has no room for a TLS configuration.
    #[error("`{}` has no room for a TLS configuration, write a `.json` file", .path.display())]
    NoRoomForTls {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A `.spec` file holds no address.
    #[error("the plugin file `{}` is wrong", .path.display())]
    Address {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: AddressError,
    },
    /// The content of a `.json` file is wrong.
    #[error("the plugin file `{}` is wrong", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: JsonError,
    },
    /// A path in the TLS configuration is no text, as JSON is.
    #[error("a path of the TLS configuration is not UTF-8, which `{}` must be", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where it came out.
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be written. What was there before is still there.
    #[error("write `{}`", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The forms of a file.
enum Form {
    Spec,
    Json,
}

impl Form {
    fn of(path: &Path) -> Result<Form, SpecError> {
        match path.extension().and_then(OsStr::to_str) {
            Some("spec") => Ok(Form::Spec),
            Some("json") => Ok(Form::Json),
            _ => Err(SpecError::Extension { path: path.to_owned() }),
        }
    }
}

impl Spec {
    /// This address, without a TLS configuration.
    pub fn new(address: Address) -> Spec {
        Spec { address, tls: None }
    }

    /// Whether the engine connects without verifying whom it talks to. Of no meaning for a Unix socket.
    pub fn is_unverified(&self) -> bool {
        let verifies = |it: &Tls| it.ca_file.is_some() && !it.insecure_skip_verify;
        !matches!(self.address, Address::Https(_)) || !self.tls.as_ref().is_some_and(verifies)
    }

    /// Reads a file as an engine does, `.spec` or `.json` by its name.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or does not say where to connect.
    pub fn read(path: &Path) -> Result<Spec, SpecError> {
        let form = Form::of(path)?;
        let text = fs::read(path).map_err(|source| SpecError::Read { path: path.to_owned(), source })?;
        match form {
            Form::Json => {
                json::read(&text).map_err(|source| SpecError::Json { path: path.to_owned(), source })
            }
            Form::Spec => {
                let address = String::from_utf8_lossy(&text).trim().parse().map(Spec::new);
                address.map_err(|source| SpecError::Address { path: path.to_owned(), source })
            }
        }
    }

    /// Writes a file for an engine to find, `.spec` or `.json` by its name, readable for all.
    ///
    /// An engine sees the old file or the new one, never a part. A missing folder is made, with mode 0755.
    ///
    /// # Errors
    ///
    /// When the name is neither, when a `.spec` file would lose a TLS configuration, and when the file system
    /// refuses.
    pub fn write(&self, path: &Path) -> Result<(), SpecError> {
        let text = self.text(path)?;
        replace(path, text.as_bytes()).map_err(|source| SpecError::Write { path: path.to_owned(), source })
    }

    /// What the file holds.
    fn text(&self, path: &Path) -> Result<String, SpecError> {
        match Form::of(path)? {
            Form::Spec if self.tls.is_some() => Err(SpecError::NoRoomForTls { path: path.to_owned() }),
            Form::Spec => Ok(format!("{}\n", self.address)),
            Form::Json => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                json::write(&name, self)
                    .map_err(|source| SpecError::NotText { path: path.to_owned(), source })
            }
        }
    }
}

/// Without the passphrase.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .field("exclusive_root_pools", &self.exclusive_root_pools)
            .field("min_version", &self.min_version)
            .finish_non_exhaustive()
    }
}

/// Puts a new file in the place of an old one, at once and for good.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);

    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    // A name that engines do not look at, and that no other writer has.
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed)));
    let beside = folder.join(name);
    let written = write_out(&beside, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        _ = fs::remove_file(&beside);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_out(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    // The umask took what it took.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(address: &str) -> Spec {
        Spec::new(address.parse().expect("an address"))
    }

    #[test]
    fn a_connection_is_verified_only_if_somebody_vouches() {
        let vouched = Tls { ca_file: Some("/ca.pem".into()), ..Tls::default() };
        let skipped = Tls { insecure_skip_verify: true, ..vouched.clone() };
        assert!(!Spec { tls: Some(vouched.clone()), ..spec("https://a:1") }.is_unverified());
        assert!(Spec { tls: Some(skipped), ..spec("https://a:1") }.is_unverified());
        assert!(Spec { tls: Some(Tls::default()), ..spec("https://a:1") }.is_unverified());
        assert!(Spec { tls: Some(vouched), ..spec("tcp://a:1") }.is_unverified());
        assert!(spec("https://a:1").is_unverified());
    }

    #[test]
    fn the_name_decides_on_the_form() {
        let plain = spec("tcp://127.0.0.1:1");
        assert_eq!(plain.text(Path::new("it.spec")).expect("a URL"), "tcp://127.0.0.1:1\n");
        let named = plain.text(Path::new("/etc/docker/plugins/it.json")).expect("an object");
        assert!(named.contains(r#""Name": "it""#), "{named}");
        assert!(matches!(plain.text(Path::new("it.sock")), Err(SpecError::Extension { .. })));
        let secured = Spec { tls: Some(Tls::default()), ..plain };
        assert!(matches!(secured.text(Path::new("it.spec")), Err(SpecError::NoRoomForTls { .. })));
    }

    #[test]
    fn debug_output_shows_no_secrets() {
        let tls = Tls { passphrase: Some("secret".into()), ..Tls::default() };
        assert!(!format!("{tls:?}").contains("secret"));
    }
}
