//! Where a consumer's events are posted, and how: the `webhook` of its settings.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::api::Problem;

/// How long a receiver may take unless told otherwise: what the Standard Webhooks specification
/// recommends as a minimum.
const TIMEOUT_MS_DEFAULT: u64 = 15_000;

/// Bytes of an address at most: what servers in between take.
const URL_BYTES_MAX: usize = 2_048;

/// Bytes of a secret's id at most.
const SECRET_ID_BYTES_MAX: usize = 64;

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MessageForm {
    /// The event as the HTTP interface answers it.
    #[default]
    Plain,
    /// A CloudEvent in structured mode (CloudEvents 1.0, JSON format).
    CloudEvents,
}

/// Where events are posted, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WebhookSettings {
    /// The receiver.
    pub(crate) url: Url,
    #[serde(default)]
    pub(crate) form: MessageForm,
    /// The id of the secret that messages are signed with.
    pub(crate) secret: String,
    #[serde(default = "timeout_default")]
    pub(crate) timeout_ms: u64,
}

fn timeout_default() -> u64 {
    TIMEOUT_MS_DEFAULT
}

impl WebhookSettings {
    /// Reads the settings, also those that were kept.
    pub(crate) fn read(value: &Value) -> Result<WebhookSettings, Problem> {
        let settings = WebhookSettings::deserialize(value)
            .map_err(|error| Problem::invalid("webhook", error.to_string()))?;
        settings.check().map(|()| settings)
    }

    fn check(&self) -> Result<(), Problem> {
        if !matches!(self.url.scheme(), "http" | "https") {
            let reason = "must begin with https:// or http://";
            return Err(Problem::invalid("webhook.url", reason));
        }
        if self.url.as_str().len() > URL_BYTES_MAX {
            let reason = format!("must have at most {URL_BYTES_MAX} bytes");
            return Err(Problem::invalid("webhook.url", reason));
        }
        // It would be a secret, in the log.
        if !self.url.username().is_empty() || self.url.password().is_some() {
            let reason = "must not hold a user's name or password: it is kept in the log";
            return Err(Problem::invalid("webhook.url", reason));
        }
        if !is_secret_id(&self.secret) {
            let reason = format!(
                "must be the id of a secret: 1 to {SECRET_ID_BYTES_MAX} of the characters a-z \
                 0-9 - _, the first one a letter"
            );
            return Err(Problem::invalid("webhook.secret", reason));
        }
        if self.timeout_ms == 0 {
            return Err(Problem::invalid("webhook.timeoutMs", "must be at least 1"));
        }
        Ok(())
    }
}

/// Whether a text can be the id of a secret: a file's name, and a part of a variable's.
pub fn is_secret_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    id.len() <= SECRET_ID_BYTES_MAX
        && id.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && id
            .bytes()
            .all(|byte| is_plain(byte) || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_as_by_default() {
        let value = json!({"url": "https://example.org/hook", "secret": "mail-1"});
        let settings = WebhookSettings::read(&value).unwrap();
        assert_eq!(settings.form, MessageForm::Plain);
        assert_eq!(settings.timeout_ms, TIMEOUT_MS_DEFAULT);
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused() {
        for (value, field) in [
            (json!({"url": "ftp://a/b", "secret": "s"}), "webhook.url"),
            (
                json!({"url": "https://u:p@a/b", "secret": "s"}),
                "webhook.url",
            ),
            (
                json!({"url": "https://a/", "secret": "../x"}),
                "webhook.secret",
            ),
            (
                json!({"url": "https://a/", "secret": "whsec_QUJD"}),
                "webhook.secret",
            ),
            (
                json!({"url": "https://a/", "secret": "s", "timeoutMs": 0}),
                "webhook.timeoutMs",
            ),
            (json!({"url": "https://a/"}), "webhook"),
            (json!({"url": "nothing", "secret": "s"}), "webhook"),
            (
                json!({"url": "https://a/", "secret": "s", "other": 1}),
                "webhook",
            ),
        ] {
            let problem = WebhookSettings::read(&value).unwrap_err();
            let problem = serde_json::to_value(&problem).unwrap();
            assert_eq!(problem["field"], field, "{value}");
        }
    }
}
