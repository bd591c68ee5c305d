//! The settings of a consumer as a body gives them.

use retold::consumer::{ConsumerSettings, ConsumerStart};
use retold::{Filter, Text};

use crate::api::answer::Problem;
use crate::api::request::Fields;
use crate::webhook::WebhookSettings;

/// Reads settings; what is left out is as by default.
pub(super) fn settings(mut fields: Fields<'_>) -> Result<ConsumerSettings, Problem> {
    let mut settings = ConsumerSettings::default();
    if let Some(given) = fields.object("filter", "filter.")? {
        settings.filter = filter(given)?;
    }
    if let Some(given) = start(&mut fields)? {
        settings.start = given;
    }
    let mut set_u32 = |name: &str, setting: &mut u32| -> Result<(), Problem> {
        if let Some(given) = fields.value(name, "a whole number")? {
            *setting = given;
        }
        Ok(())
    };
    set_u32("inFlightMax", &mut settings.in_flight_max)?;
    set_u32("attemptsMax", &mut settings.attempts_max)?;
    set_u32("parkedStreamsMax", &mut settings.parked_streams_max)?;
    let mut set_u64 = |name: &str, setting: &mut u64| -> Result<(), Problem> {
        if let Some(given) = fields.value(name, "a whole number")? {
            *setting = given;
        }
        Ok(())
    };
    set_u64("leaseMs", &mut settings.lease_ms)?;
    set_u64("retryBackoffMs", &mut settings.retry_backoff_ms)?;
    set_u64("retryBackoffMaxMs", &mut settings.retry_backoff_max_ms)?;
    set_u64("outageAfterS", &mut settings.outage_after_s)?;
    let webhook: Option<serde_json::Value> = fields.value("webhook", "an object")?;
    settings.webhook = webhook.filter(|webhook| !webhook.is_null());
    fields.finish()?;
    settings.check()?;
    if let Some(webhook) = &settings.webhook {
        let webhook = WebhookSettings::read(webhook)?;
        if webhook.timeout_ms >= settings.lease_ms {
            let reason = "must be less than leaseMs: a delivery that may still succeed must not \
                          count as failed";
            return Err(Problem::invalid("webhook.timeoutMs", reason));
        }
    }
    Ok(settings)
}

/// Where a consumer begins.
pub(super) fn start(fields: &mut Fields<'_>) -> Result<Option<ConsumerStart>, Problem> {
    let kinds = r#""beginning", "now", {"after": a position} or {"at": a time}"#;
    fields.value("start", kinds)
}

fn filter(mut fields: Fields<'_>) -> Result<Filter, Problem> {
    fields.refuse_repeated()?;
    let mut texts = |name: &str| -> Result<Vec<Text>, Problem> {
        let texts: Option<Vec<String>> = fields.value(name, "a list of texts")?;
        Ok(texts.into_iter().flatten().map(Text::from).collect())
    };
    let filter = Filter {
        aggregate_types: texts("aggregateTypes")?,
        event_types: texts("eventTypes")?,
        tags: texts("tags")?,
        correlation_id: fields.text("correlationId")?,
        actor: fields.text("actor")?,
        ..Filter::default()
    };
    fields.finish()?;
    Ok(filter)
}
