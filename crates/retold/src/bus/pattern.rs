//! Which topics a subscription is for: text in which `*` stands for any run of characters.

pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(pattern: String) -> Pattern {
        Pattern(pattern)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic fits, which takes time linear in each part of the pattern.
    pub(super) fn admits(&self, topic: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return self.0 == topic;
        };
        let Some(mut topic) = topic.strip_prefix(head) else {
            return false;
        };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return topic.ends_with(part);
            }
            // The first place is the best: it leaves the most for the parts behind.
            match topic.find(part) {
                Some(at) => topic = &topic[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, topic, fits) in [
            ("issue.events", "issue.events", true),
            ("issue.events", "issue.event", false),
            ("issue.events", "my-issue.events", false),
            ("*", "issue.events", true),
            ("*", "", true),
            ("*.events", "issue.events", true),
            ("*.events", "issue.event", false),
            ("issue.*", "issue.events", true),
            ("issue.*", "tissue.events", false),
            ("i*e.*s", "issue.events", true),
            ("i*e.*x", "issue.events", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("**", "anything", true),
            ("*b*b", "ab", false),
            ("*b*b", "abb", true),
            ("", "", true),
            ("", "a", false),
        ] {
            let admitted = Pattern::new(pattern.into()).admits(topic);
            assert_eq!(admitted, fits, "{pattern:?} on {topic:?}");
        }
    }
}
