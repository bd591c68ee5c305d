//! The secrets that messages are signed with. They lie in files of their own, or in the
//! environment: never in the log, an export or an answer.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret begins with in the Standard Webhooks specification.
const PREFIX: &str = "whsec_";

/// The name of a variable that holds a secret begins with this; the rest is its id in capitals,
/// with `_` for `-`.
const VARIABLE: &str = "RETOLD_SECRET_";

/// Bytes of a key: the bounds that the specification sets.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Bits of a file's mode that let others than its owner at it.
const OTHERS: u32 = 0o077;

/// Where secrets are found.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    folder: Option<PathBuf>,
}

/// The keys of one secret: while it is rotated there are several, and a message is signed with
/// each, so that a receiver may have the new one or still the old one.
#[derive(Clone)]
pub(super) struct Keys(Vec<Vec<u8>>);

impl Secrets {
    pub(super) fn new(folder: Option<PathBuf>) -> Secrets {
        Secrets { folder }
    }

    /// Reads a secret, each time anew: whoever rotates it need not restart anything.
    ///
    /// # Errors
    /// A text that finishes the sentence "failed to …" and holds nothing of the secret.
    pub(super) async fn get(&self, id: &str) -> Result<Keys, String> {
        let variable = format!("{VARIABLE}{}", id.to_uppercase().replace('-', "_"));
        if let Ok(text) = std::env::var(&variable) {
            return Keys::read(&text).map_err(|reason| {
                format!("use the secret {id}: {reason} (the variable {variable})")
            });
        }
        let missing = || {
            format!(
                "find the secret {id}: make it with `retold secrets create {id}`, or set the \
                 variable {variable}"
            )
        };
        let path = self.folder.as_ref().ok_or_else(missing)?.join(id);
        let read = tokio::task::spawn_blocking(move || read_private(&path)).await;
        let text = match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(format!("read the secret {id}: {error}")),
        };
        Keys::read(&text).map_err(|reason| format!("use the secret {id}: {reason}"))
    }
}

/// Reads a file that nobody but its owner may read.
fn read_private(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.mode() & OTHERS != 0 {
        let reason = "others may read its file: set its mode to 0600, and rotate it";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    std::fs::read_to_string(path)
}

impl Keys {
    /// Reads keys as the specification writes them, the newest first, with white space between.
    fn read(text: &str) -> Result<Keys, String> {
        let keys = text.split_whitespace().map(|secret| {
            let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
            let key = STANDARD.decode(encoded).ok();
            key.filter(|key| KEY_BYTES.contains(&key.len()))
                .ok_or_else(|| {
                    format!(
                        "it must be {PREFIX} and {} to {} bytes in base64",
                        KEY_BYTES.start(),
                        KEY_BYTES.end()
                    )
                })
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        match keys.is_empty() {
            true => Err("it is empty".to_owned()),
            false => Ok(Keys(keys)),
        }
    }

    /// The signature of a message with each key, as the header holds them.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|key| {
            let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key);
            let mut mac = mac.expect("HMAC takes keys of any length");
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The example of the specification's libraries.
    #[test]
    fn a_signature_is_as_others_make_it() {
        let keys = Keys::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = keys.sign(id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_rotated_both_keys_sign() {
        let (new, old) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let both = Keys::read(&format!("whsec_{new}\nwhsec_{old}\n")).unwrap();
        let signed = both.sign("id", 7, b"x");
        let parts: Vec<&str> = signed.split(' ').collect();
        assert_eq!(parts[0], Keys::read(&new).unwrap().sign("id", 7, b"x"));
        assert_eq!(parts[1], Keys::read(&old).unwrap().sign("id", 7, b"x"));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_told() {
        for text in ["", "whsec_", "whsec_QUJD", "not base64 at all!"] {
            let reason = Keys::read(text).err().unwrap();
            assert!(text.is_empty() || !reason.contains("QUJD"), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_file_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        let reason = secrets.get("mail").await.err().unwrap();
        assert!(reason.contains("RETOLD_SECRET_MAIL"), "{reason}");
        let path = folder.path().join("mail");
        std::fs::write(&path, format!("whsec_{}", STANDARD.encode([3; 24]))).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
        mode(0o640).unwrap();
        let reason = secrets.get("mail").await.err().unwrap();
        assert!(reason.contains("0600"), "{reason}");
        mode(0o600).unwrap();
        assert!(secrets.get("mail").await.is_ok());
    }
}
