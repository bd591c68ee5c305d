//! XES (IEEE 1849-2016, and the 1.0 and 2.0 before it): traces of events with typed attributes.
//!
//! - A trace is a case; its `concept:name` is the aggregate id and must come before its events,
//!   as the standard's schema has it. A case may be split over several traces. An event outside
//!   of traces names its case in `case:concept:name`.
//! - Every attribute of the event that is not mapped becomes a field of the payload; so does
//!   every other attribute of its trace, as `case:<key>`, the name that tables give it.
//! - Global attributes stand in for those an event or a trace lacks, except for the case, the
//!   event type and the instant, which are never made up, and where they say `__INVALID__`.
//! - Attributes of the log, extensions and classifiers say nothing about single events.

mod attribute;
mod xml;

use super::case::{Cases, Parts};
use super::error::{Cause, LineError};
use super::payload::Object;
use super::source::Input;
use super::{ImportEvent, Line, Options};
use attribute::{Attribute, Attributes};
use xml::{Element, Token, Xml};

/// What tools write as a global value where they know none.
const NO_VALUE: &str = "__INVALID__";

/// What an attribute of a trace is called among those of an event.
const TRACE_PREFIX: &str = "case:";

/// Reads the events of a log.
pub(super) struct Reader {
    xml: Xml,
    cases: Cases,
    keys: Keys,
    trace: Option<Attributes>,
    trace_globals: Vec<Attribute>,
    event_globals: Vec<Attribute>,
    is_over: bool,
}

/// The keys of the attributes that are mapped.
struct Keys {
    case: String,
    event_type: String,
    timestamp: String,
    actor: String,
}

impl Reader {
    /// Reads up to the beginning of the log.
    ///
    /// # Errors
    /// The options must name the aggregate type, and the file must be XML with a log in it.
    pub(super) fn new(input: Input, options: &Options) -> Result<Reader, Cause> {
        let key = |asked: &Option<String>, standard: &str| match asked {
            Some(asked) => asked.clone(),
            None => standard.to_owned(),
        };
        let fields = &options.fields;
        let cases = Cases::new(options)?;
        let mut xml = Xml::new(input);
        match xml.next()? {
            Token::Open(root) if root.name == "log" => {}
            Token::Open(root) => {
                let reason = format!("it is XML, but its root is <{}>, not <log>", root.name);
                return Err(xml.malformed(reason));
            }
            Token::Close | Token::End => return Err(xml.malformed("it holds no log")),
        }
        Ok(Reader {
            xml,
            cases,
            keys: Keys {
                case: key(&fields.case, "concept:name"),
                event_type: key(&fields.event_type, "concept:name"),
                timestamp: key(&fields.timestamp, "time:timestamp"),
                actor: key(&fields.actor, "org:resource"),
            },
            trace: None,
            trace_globals: Vec::new(),
            event_globals: Vec::new(),
            is_over: false,
        })
    }

    /// Reads up to the end of the next event; none at the end of the log.
    fn next_line(&mut self) -> Result<Option<Line>, Cause> {
        loop {
            let element = match self.xml.next()? {
                Token::Open(element) => element,
                Token::Close if self.trace.is_some() => {
                    self.trace = None;
                    continue;
                }
                // The end of the log, behind which only comments may follow.
                Token::Close => continue,
                Token::End => return Ok(None),
            };
            match (element.name.as_str(), &mut self.trace) {
                ("event", _) => {
                    let event = Attributes::read(&mut self.xml)?;
                    let result = self.event(event);
                    let number = element.line;
                    return Ok(Some(Line { number, result }));
                }
                ("trace", None) => self.trace = Some(Attributes::default()),
                ("global", None) => self.global(&element)?,
                (_, Some(trace)) => trace.add(&mut self.xml, element)?,
                _ => self.xml.skip()?,
            }
        }
    }

    fn global(&mut self, element: &Element) -> Result<(), Cause> {
        let globals = Attributes::read(&mut self.xml)?;
        if let Some(fault) = globals.fault {
            let reason = format!("the global attributes cannot be read: failed to {fault}");
            return Err(self.xml.malformed(reason));
        }
        let known = globals.attributes.into_iter();
        let known = known.filter(|global| global.text.as_deref() != Some(NO_VALUE));
        // The standard's default of an absent scope is the event.
        match element.scope.as_deref() {
            Some("trace") => {
                let known = known.filter(|global| global.key != self.keys.case);
                self.trace_globals.extend(known);
            }
            _ => {
                let never = [&self.keys.event_type, &self.keys.timestamp];
                let known = known.filter(|global| !never.contains(&&global.key));
                self.event_globals.extend(known);
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Attributes) -> Result<ImportEvent, LineError> {
        let keys = &self.keys;
        let outside = format!("{TRACE_PREFIX}{}", keys.case);
        let (case_of, case_key) = match &self.trace {
            Some(trace) => (trace, keys.case.as_str()),
            None => (&event, outside.as_str()),
        };
        let case = case_of.text(case_key).filter(|case| !case.is_empty());
        let Some(case) = case else {
            return Err(LineError::Missing {
                what: format!("the case: a value of {case_key} in the trace, before its events"),
                hint: "",
            });
        };
        let parts = self.payload(&event).map(|payload| {
            let global = || {
                let actor = self.event_globals.iter().find(|a| a.key == keys.actor);
                actor.and_then(|actor| actor.text.as_deref())
            };
            Parts {
                event_type: (&keys.event_type, event.text(&keys.event_type)),
                timestamp: (&keys.timestamp, event.text(&keys.timestamp)),
                actor: event.text(&keys.actor).or_else(global),
                payload,
            }
        });
        self.cases.event(case, parts)
    }

    /// Everything that is not mapped: of the event, of its trace, and what is known globally.
    fn payload(&self, event: &Attributes) -> Result<Object, LineError> {
        let keys = &self.keys;
        let nothing = Attributes::default();
        let trace = self.trace.as_ref().unwrap_or(&nothing);
        for attributes in [event, trace] {
            if let Some(fault) = &attributes.fault {
                return Err(fault.clone());
            }
        }
        let mapped = [&keys.event_type, &keys.timestamp, &keys.actor];
        let mut payload = Object::new();
        let outside = format!("{TRACE_PREFIX}{}", keys.case);
        for attribute in &event.attributes {
            let is_case = self.trace.is_none() && attribute.key == outside;
            if !mapped.contains(&&attribute.key) && !is_case {
                payload.add(&attribute.key, &attribute.json)?;
            }
        }
        for global in &self.event_globals {
            if global.key != keys.actor && !payload.holds(&global.key) {
                payload.add(&global.key, &global.json)?;
            }
        }
        let of_trace = trace.attributes.iter().filter(|a| a.key != keys.case);
        for attribute in of_trace.chain(&self.trace_globals) {
            let key = format!("{TRACE_PREFIX}{}", attribute.key);
            if !payload.holds(&key) {
                payload.add(&key, &attribute.json)?;
            }
        }
        Ok(payload)
    }
}

impl Iterator for Reader {
    type Item = Result<Line, Cause>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_line().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}
