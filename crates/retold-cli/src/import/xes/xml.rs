//! XML as far as XES uses it: elements and three attributes of theirs. Text, comments and
//! processing instructions mean nothing; a document type declaration is refused, so there are
//! no entities to expand but XML's own five.

use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::import::error::Cause;
use crate::import::limits::{LINE_BYTES_MAX, XML_DEPTH_MAX};
use crate::import::source::Input;

/// Pulls token after token out of a file.
pub(super) struct Xml {
    reader: Reader<Metered>,
    buffer: Vec<u8>,
    /// The elements that are open.
    depth: usize,
    has_root: bool,
}

/// What a file consists of.
pub(super) enum Token {
    /// An element begins.
    Open(Element),
    /// The element opened last ends.
    Close,
    /// The file ends, with every element closed.
    End,
}

/// The beginning of an element.
pub(super) struct Element {
    /// Its name without a prefix.
    pub(super) name: String,
    /// The line it stands on, counted from 1.
    pub(super) line: u64,
    /// Its attribute `key`.
    pub(super) key: Option<String>,
    /// Its attribute `value`.
    pub(super) value: Option<String>,
    /// Its attribute `scope`.
    pub(super) scope: Option<String>,
    /// What is wrong with its attributes.
    pub(super) fault: Option<String>,
}

impl Xml {
    pub(super) fn new(input: Input) -> Xml {
        let metered = Metered {
            input,
            line: 1,
            bytes_left: LINE_BYTES_MAX,
        };
        let mut reader = Reader::from_reader(metered);
        // `<a/>` is `<a></a>`: one way to read both.
        reader.config_mut().expand_empty_elements = true;
        Xml {
            reader,
            buffer: Vec::new(),
            depth: 0,
            has_root: false,
        }
    }

    /// The next token.
    ///
    /// # Errors
    /// What is not well-formed; after that nothing can be told apart any more.
    pub(super) fn next(&mut self) -> Result<Token, Cause> {
        loop {
            self.buffer.clear();
            self.reader.get_mut().bytes_left = LINE_BYTES_MAX;
            let line = self.reader.get_ref().line;
            let malformed = |reason: String| Cause::malformed(line, reason);
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(quick_xml::Error::Io(error)) => {
                    return Err(Cause::Io(io::Error::new(error.kind(), error.to_string())));
                }
                Err(error) => return Err(malformed(error.to_string())),
            };
            match event {
                Event::Start(start) => {
                    if self.depth >= XML_DEPTH_MAX {
                        let reason = format!("more than {XML_DEPTH_MAX} elements within another");
                        return Err(malformed(reason));
                    }
                    if self.depth == 0 && self.has_root {
                        return Err(malformed("a second root follows the log".to_owned()));
                    }
                    self.depth += 1;
                    self.has_root = true;
                    return Ok(Token::Open(element(&start, line)));
                }
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(Token::Close);
                }
                Event::Eof if self.depth > 0 => {
                    let reason =
                        "it breaks off: an element is not closed; the file is not complete";
                    return Err(malformed(reason.to_owned()));
                }
                Event::Eof => return Ok(Token::End),
                Event::DocType(_) => {
                    let reason = "it holds a document type declaration, which no event log needs; \
                                  entities are not expanded";
                    return Err(malformed(reason.to_owned()));
                }
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().and_then(Result::ok);
                    let encoding = encoding.unwrap_or("UTF-8".into()).to_ascii_uppercase();
                    if !matches!(encoding.as_str(), "UTF-8" | "UTF8" | "US-ASCII" | "ASCII") {
                        let reason = format!(
                            "it is written in {encoding:?}; convert it to UTF-8, as with `iconv`, \
                             and say so in its first line"
                        );
                        return Err(malformed(reason));
                    }
                }
                _ => {}
            }
        }
    }

    /// Passes over the rest of the element opened last.
    pub(super) fn skip(&mut self) -> Result<(), Cause> {
        let mut open = 1;
        while open > 0 {
            match self.next()? {
                Token::Open(_) => open += 1,
                Token::Close | Token::End => open -= 1,
            }
        }
        Ok(())
    }

    /// An error at the line that was read last.
    pub(super) fn malformed(&self, reason: impl AsRef<str>) -> Cause {
        Cause::malformed(self.reader.get_ref().line, reason)
    }
}

fn element(start: &BytesStart<'_>, line: u64) -> Element {
    let mut element = Element {
        name: start.local_name().as_ref().to_owned(),
        line,
        key: None,
        value: None,
        scope: None,
        fault: None,
    };
    for attribute in start.attributes() {
        let read = attribute.map_err(|error| error.to_string()).and_then(|a| {
            let field = match a.key.as_ref() {
                "key" => &mut element.key,
                "value" => &mut element.value,
                "scope" => &mut element.scope,
                _ => return Ok(()),
            };
            let value = a.normalized_value(quick_xml::XmlVersion::Implicit1_0);
            *field = Some(value.map_err(|error| error.to_string())?.into_owned());
            Ok(())
        });
        if let Err(reason) = read {
            element.fault = Some(reason);
        }
    }
    element
}

/// Counts lines, and ends a token that is longer than any event can be: the parser gathers a
/// token in memory before it shows it.
struct Metered {
    input: Input,
    line: u64,
    bytes_left: usize,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

impl BufRead for Metered {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes_left == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "line {} begins something of more than {LINE_BYTES_MAX} bytes",
                    self.line
                ),
            ));
        }
        let bytes = self.input.fill_buf()?;
        Ok(&bytes[..bytes.len().min(self.bytes_left)])
    }

    fn consume(&mut self, bytes: usize) {
        // What is consumed is still in the buffer, so this reads nothing.
        if let Ok(buffered) = self.input.fill_buf() {
            let consumed = buffered.iter().take(bytes);
            self.line += consumed.filter(|byte| **byte == b'\n').count() as u64;
        }
        self.input.consume(bytes);
        self.bytes_left -= bytes.min(self.bytes_left);
    }
}
