//! The printed comparison, as text that a person can review. `UPDATE_GOLDEN=1 cargo test` rewrites
//! it; a changed golden is a change of results or of their form, and wants a line in the changelog.

use std::fs;
use std::path::Path;

use super::support::Place;

fn check(name: &str, arguments: &str) {
    check_in(&Place::with_tiny(), name, arguments);
}

/// Runs the program in a folder and compares what it prints with a golden file.
pub(crate) fn check_in(place: &Place, name: &str, arguments: &str) {
    check_ending(place, name, arguments, 0);
}

/// The same for a program that ends with a code of its own.
pub(crate) fn check_ending(place: &Place, name: &str, arguments: &str, code: i32) {
    let done = place.run(arguments);
    assert_eq!(done.code, Some(code), "{done:?}");
    assert!(
        done.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        done.out
    );
    assert!(!done.out.contains('\x1b'), "no colour in a pipe");
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &done.out).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(done.out, golden, "{}", file.display());
}

#[test]
fn compare() {
    check("compare.txt", "compare tiny.toml");
}

#[test]
fn one_seed_is_no_comparison() {
    check("one_seed.txt", "compare tiny.toml --seeds 1 --no-jobs");
}

#[test]
fn run() {
    check("run.txt", "run tiny.toml --platform strict --seed 2");
}
