//! What the made-up people of a demo work on, and what they say about it.

/// Who works here.
pub(super) const PEOPLE: [&str; 6] = ["amina", "bo", "chidi", "dana", "elif", "farid"];

/// What there is to do.
pub(super) const TITLES: [&str; 20] = [
    "Checkout forgets the discount after a reload",
    "Let people sign in with a passkey",
    "Search finds nothing for names with an apostrophe",
    "Invoices show the wrong time zone",
    "Export the order list as CSV",
    "The image uploader hangs on large files",
    "Send a reminder before a trial ends",
    "Dark theme: labels cannot be read",
    "Move the session store off the old server",
    "Show why a payment was refused",
    "Retry webhooks that time out",
    "Keyboard focus is lost in the filter menu",
    "Archive projects nobody has opened for a year",
    "The nightly report runs twice",
    "Limit attempts to enter a code",
    "Translate the help pages into Portuguese",
    "Round totals the way the law asks",
    "Profile pictures are upside down on phones",
    "Let an admin transfer a workspace",
    "Make the start page load in under a second",
];

/// What people remark.
pub(super) const REMARKS: [&str; 8] = [
    "I can reproduce it on the staging system.",
    "This also explains last week's ticket.",
    "Half of it is done; the rest needs a decision.",
    "Added a test that failed before.",
    "Could somebody with an older phone have a look?",
    "The numbers agree now.",
    "Waiting for the other team's answer.",
    "Smaller than we thought.",
];

/// Why somebody takes a transition.
pub(super) fn reasons(transition: &str) -> &'static [&'static str] {
    match transition {
        "start_work" => &[
            "Next in line",
            "A customer asked for it",
            "It blocks the release",
        ],
        "block" => &[
            "Waiting for access to the test system",
            "The design is not settled",
        ],
        "unblock" => &["Access was granted", "The design is settled"],
        "submit_review" => &["Ready to be looked at", "All checks pass"],
        "request_changes" => &["A case is missing", "The message is hard to understand"],
        "merge" => &["Looks good", "Good, with two small remarks"],
        "reject" => &["It would break older clients"],
        "deploy" => &["With tonight's release", "Behind a switch, for everyone"],
        "reopen" => &["There is another way to do it"],
        "cancel" => &["Nobody needs it any more", "The same as another issue"],
        "complete" => &["All steps passed"],
        "fail" => &["A test failed", "The build ran out of memory"],
        "timeout" => &["No answer within ten minutes"],
        "retry" => &["The cause is fixed"],
        _ => &["Started by the pipeline"],
    }
}
