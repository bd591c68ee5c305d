//! Values as text that people read: instants, numbers, and payloads with line breaks.

use retold::{Json, Timestamp};

/// Bytes of a payload that a page shows; the rest is a link away. A page stays bounded.
pub(super) const PAYLOAD_SHOWN_BYTES_MAX: usize = 32 * 1024;

/// An instant as `2024-01-31 12:00:00 UTC`.
pub(super) fn to_the_second(instant: Timestamp) -> String {
    let written = instant.to_string();
    // Years have four digits by the range of a timestamp, so the places are fixed.
    match (written.get(..10), written.get(11..19)) {
        (Some(date), Some(time)) => format!("{date} {time} UTC"),
        _ => written,
    }
}

/// A number with its thousands set apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A payload with line breaks and indentation, cut off behind [`PAYLOAD_SHOWN_BYTES_MAX`].
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) is_cut: bool,
}

/// Breaks the lines of JSON. All else stays byte for byte: numbers keep their spelling, keys
/// their order, escapes their form.
pub(super) fn laid_out(json: &Json) -> Shown {
    let mut text = String::new();
    let mut depth = 0;
    let (mut in_string, mut is_escaped) = (false, false);
    let mut rest = json.as_str().chars().peekable();
    while let Some(char) = rest.next() {
        if text.len() >= PAYLOAD_SHOWN_BYTES_MAX {
            return Shown { text, is_cut: true };
        }
        if in_string {
            in_string = is_escaped || char != '"';
            is_escaped = char == '\\' && !is_escaped;
            text.push(char);
            continue;
        }
        match char {
            '{' | '[' => {
                text.push(char);
                // An empty container stays on one line.
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        break_line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth -= 1;
                break_line(&mut text, depth);
                text.push(char);
            }
            ',' => {
                text.push(char);
                break_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            char => {
                in_string = char == '"';
                text.push(char);
            }
        }
    }
    Shown {
        text,
        is_cut: false,
    }
}

fn break_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        laid_out(&Json::parse(json).unwrap()).text
    }

    #[test]
    fn only_line_breaks_and_spaces_are_added() {
        assert_eq!(
            shown(r#"{"b":1.50,"a":["\u0041",{}],"a":[]}"#),
            "{\n  \"b\": 1.50,\n  \"a\": [\n    \"\\u0041\",\n    {}\n  ],\n  \"a\": []\n}"
        );
    }

    #[test]
    fn what_is_inside_a_string_is_not_structure() {
        assert_eq!(
            shown(r#"["{,:}\\","\"[,]"]"#),
            "[\n  \"{,:}\\\\\",\n  \"\\\"[,]\"\n]"
        );
    }

    #[test]
    fn a_long_payload_is_cut() {
        let json = Json::from_value(&"é".repeat(PAYLOAD_SHOWN_BYTES_MAX)).unwrap();
        let shown = laid_out(&json);
        assert!(shown.is_cut);
        assert!(shown.text.len() <= PAYLOAD_SHOWN_BYTES_MAX + 4);
    }

    #[test]
    fn deep_nesting_stays_bounded() {
        let depth = retold::limits::JSON_DEPTH_MAX;
        let json = "[".repeat(depth) + "1" + &"]".repeat(depth);
        let shown = laid_out(&Json::parse(&json).unwrap());
        assert!(shown.text.starts_with("[\n  [\n    ["));
        assert!(shown.text.len() <= PAYLOAD_SHOWN_BYTES_MAX + 2 * depth);
    }

    #[test]
    fn instants_and_numbers_are_readable() {
        let instant = "2024-01-31T12:00:00.123456Z".parse().unwrap();
        assert_eq!(to_the_second(instant), "2024-01-31 12:00:00 UTC");
        assert_eq!(to_the_second(Timestamp::MIN), "0000-01-01 00:00:00 UTC");
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (100_000, "100,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
