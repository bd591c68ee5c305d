//! Reads the file in which nextest reports on its tests.

use std::time::Duration;

use anyhow::Context;

/// What a test says, before the reason, when it did not test anything. On a machine with one
/// processor the harness writes the test's name on the same line before it.
const SKIP_NOTICE: &str = "SKIPPED: ";

/// One test.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TestCase {
    /// Crate, file and function.
    pub(crate) name: String,
    /// How long it ran.
    pub(crate) took: Duration,
    /// Whether it failed.
    pub(crate) failed: bool,
    /// Why it was skipped, where it was.
    pub(crate) skipped: Option<String>,
}

/// Reads a report.
pub(crate) fn parse(report: &str) -> anyhow::Result<Vec<TestCase>> {
    let document = roxmltree::Document::parse(report).context("read the junit file")?;
    document
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
        .map(test_case)
        .collect()
}

fn test_case(node: roxmltree::Node<'_, '_>) -> anyhow::Result<TestCase> {
    let attribute = |name: &str| {
        node.attribute(name)
            .with_context(|| format!("find {name} in a test case of the junit file"))
    };
    let seconds: f64 = attribute("time")?
        .parse()
        .context("read a time of the junit file")?;
    let said = node
        .children()
        .filter(|child| child.has_tag_name("system-out") || child.has_tag_name("system-err"))
        .filter_map(|child| child.text());
    let skipped = said
        .flat_map(str::lines)
        .find_map(|line| line.split_once(SKIP_NOTICE))
        .map(|(_, reason)| reason.trim());
    Ok(TestCase {
        name: format!("{} {}", attribute("classname")?, attribute("name")?),
        took: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        failed: node
            .children()
            .any(|child| child.has_tag_name("failure") || child.has_tag_name("error")),
        skipped: skipped.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_times_failures_and_skips() {
        let report = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="0" time="0.5">
  <testsuite name="a::b" tests="3" disabled="0" errors="0" failures="1">
    <testcase name="one" classname="a::b" time="0.25">
      <system-out>running 1 test
SKIPPED: RETOLD_EVENT_LOGS is not set
test one ... ok</system-out>
      <system-err></system-err>
    </testcase>
    <testcase name="two" classname="a::b" time="0.010"/>
    <testcase name="three" classname="a::b" time="1.5">
      <failure type="test failure">panicked &amp; died</failure>
    </testcase>
  </testsuite>
</testsuites>"#;
        let cases = parse(report).unwrap();
        let [one, two, three] = &cases[..] else {
            panic!("{cases:?}")
        };
        assert_eq!(one.name, "a::b one");
        assert_eq!(one.skipped.as_deref(), Some("RETOLD_EVENT_LOGS is not set"));
        assert_eq!(two.took, Duration::from_millis(10));
        assert!(!two.failed && two.skipped.is_none());
        assert!(three.failed);
    }
}
