//! The commonest mistakes of a newcomer, and what the compiler says about them: the messages are
//! kept beside each, and `TRYBUILD=overwrite` accepts others.

#[test]
fn each_mistake_is_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/mistakes/*.rs");
}
