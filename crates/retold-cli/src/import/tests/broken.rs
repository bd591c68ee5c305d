//! Files that cannot be read to their end: what came before is given, then one clear error.

use std::path::Path;

use proptest::prelude::*;

use super::{gzip, options, outcome, read, small};
use crate::import::{Format, Options, open};

fn ended(format: Format, text: impl Into<Vec<u8>>) -> String {
    outcome(read(format, text, options())).ended.unwrap()
}

#[test]
fn a_packed_file_that_breaks_off_or_is_damaged_is_an_error_after_its_beginning() {
    let rows: String = (0..20_000_u64)
        .map(|nth| {
            format!(
                "{nth},a{},2024-01-01T00:00:00Z\n",
                nth.wrapping_mul(0x9e37_79b9)
            )
        })
        .collect();
    let packed = gzip(format!("case,activity,time\n{rows}").as_bytes());
    let cut = outcome(read(Format::Csv, &packed[..packed.len() / 2], options()));
    assert!(cut.accepted.len() > 1_000);
    assert_eq!(
        cut.ended.unwrap(),
        "read input: its gzip data break off; the file is not complete"
    );
    let mut damaged = packed.clone();
    // The checksum at the end of the member.
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    let damaged = outcome(read(Format::Csv, damaged, options()))
        .ended
        .unwrap();
    assert!(
        damaged.starts_with("read input: its gzip data are damaged"),
        "{damaged}"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.csv.gz");
    std::fs::write(&path, "case,activity,time\n").unwrap();
    let error = open(&path, options()).err().unwrap();
    assert!(
        error
            .to_string()
            .ends_with("it is called .gz, but is not packed with gzip")
    );
}

#[test]
fn a_log_cut_off_anywhere_is_an_error_and_never_a_panic() {
    let text = std::fs::read(small("small.xes")).unwrap();
    let whole = text.trim_ascii_end().len();
    for length in (0..whole).step_by(7).chain(whole - 6..whole) {
        let outcome = outcome(read(Format::Xes, &text[..length], options()));
        let ended = outcome
            .ended
            .unwrap_or_else(|| panic!("{length} bytes were a whole log"));
        assert!(ended.starts_with("read input from line "), "{ended}");
        assert_eq!(outcome.refused, []);
    }
}

#[test]
fn what_is_not_a_log_says_what_it_is() {
    for (text, reason) in [
        ("", "it holds no log"),
        ("case,activity,time", "it holds no log"),
        ("<html></html>", "its root is <html>, not <log>"),
        ("<log></log><log></log>", "a second root"),
        ("<log><trace></log>", "expected `</trace>`"),
        (
            "<?xml version='1.0' encoding='ISO-8859-1'?><log/>",
            "\"ISO-8859-1\"; convert it",
        ),
        (
            "<log><global><int key='n' value='x'/></global></log>",
            "not of type int",
        ),
    ] {
        let ended = ended(Format::Xes, text);
        assert!(ended.contains(reason), "{text}: {ended}");
    }
    let ended = ended(
        Format::Xes,
        b"<log>\n<string key='a' value='\xe9'/></log>".to_vec(),
    );
    assert!(
        ended.contains("from line 2 on") && ended.contains("UTF-8"),
        "{ended}"
    );
}

/// "A billion laughs": a few lines that would be gigabytes if entities were expanded.
#[test]
fn entities_are_not_expanded() {
    let text = r#"<?xml version="1.0"?>
        <!DOCTYPE log [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>
        <log><trace><string key="concept:name" value="&b;&c;"/></trace></log>"#;
    let ended = ended(Format::Xes, text);
    assert!(ended.contains("document type declaration"), "{ended}");
}

#[test]
fn what_grows_without_end_is_ended() {
    let long = format!("<log><string key='{}'/></log>", "x".repeat(9 * 1024 * 1024));
    let ended_long = ended(Format::Xes, long);
    assert!(
        ended_long.contains("more than 8388608 bytes"),
        "{ended_long}"
    );
    let deep = format!("<log>{}", "<a>".repeat(1_000_000));
    let ended_deep = ended(Format::Xes, deep);
    assert!(
        ended_deep.contains("more than 256 elements"),
        "{ended_deep}"
    );
    // Small attributes without end are one event that is refused, not memory without end.
    let tiny = "<int key='' value='1'/>".repeat(200_000);
    let text = format!(
        "<log><trace><string key='concept:name' value='1'/><event>{tiny}</event></trace></log>"
    );
    let refused = outcome(read(Format::Xes, text, options())).refused;
    assert_eq!(refused[0].1, "read more than 8388608 bytes as one event");
}

#[test]
fn what_a_call_lacks_is_named_with_its_flag() {
    let of = |name: &str, options: Options| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, "id,what\n").unwrap();
        let error = open(&path, options).err().unwrap();
        assert!(error.is_usage(), "{error}");
        error.to_string()
    };
    assert!(of("a.txt", options()).contains("--format"));
    assert!(of("a.csv", Options::default()).contains("--type"));
    assert!(of("a.csv", options()).contains("it has \"id\", \"what\""));
    let reserved = Options {
        aggregate_type: Some("$machine".to_owned()),
        ..Options::default()
    };
    assert!(of("a.csv", reserved.clone()).contains("must not start with $"));
    assert!(of("a.ndjson", reserved).contains("must not start with $"));
    let error = open(Path::new("/nowhere/a.csv"), options()).err().unwrap();
    assert!(error.to_string().starts_with("open /nowhere/a.csv: ") && !error.is_usage());
    let error = open(&small(""), options()).err().unwrap();
    assert!(error.to_string().starts_with("open "), "{error}");
}

#[test]
fn a_table_needs_a_header_it_can_be_read_by() {
    for (text, reason) in [
        (&b""[..], "it is empty"),
        (b"\n\n", "it is empty"),
        (b"\xff\xfec\0a\0", "UTF-16"),
        (
            b"case,\"activity\n",
            "the header: failed to read it: a quote is not closed",
        ),
        (b"case,activity,time,time\n", "\"time\" twice"),
    ] {
        let ended = ended(Format::Csv, text);
        assert!(ended.contains(reason), "{ended}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever a file holds, it is read to an end, and an error is the last item.
    #[test]
    fn no_file_makes_a_reader_panic(
        name in prop::sample::select(vec!["small.xes", "small.csv"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        is_packed in any::<bool>(),
    ) {
        let mut text = std::fs::read(small(name)).unwrap();
        for (at, byte) in changes {
            let at = at.index(text.len());
            // Half of the changes are those that mean something to a parser.
            text[at] = match byte {
                0..128 => b"<>/\"'&=;,\n {}[]:\\"[usize::from(byte) % 17],
                _ => byte,
            };
        }
        if is_packed {
            text = gzip(&text);
        }
        if let Some(cut) = cut {
            text.truncate(cut.index(text.len()));
        }
        for format in [Format::Xes, Format::Csv, Format::Ndjson] {
            outcome(read(format, text.clone(), options()));
        }
    }
}
