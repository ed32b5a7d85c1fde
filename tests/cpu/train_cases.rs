//! Runs of `mtcmcn train` whose settings were changed by hand, and signals that come together.
#![cfg(unix)]

use std::fs;
use std::process::Command;

use crate::cli::Scratch;
use crate::train_program::{end, scratch, start, wait_for_checkpoint};

/// Stopped after its first checkpoint.
fn stopped() -> Scratch {
    let scratch = scratch();
    let mut child = start(&scratch, &["train", "pnet", "--out", "run", "--config", "own.toml", "--set", "pnet.epochs=1000000"]);
    wait_for_checkpoint(&scratch, "run", &mut child);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(end(child).code, Some(1));
    scratch
}

#[test]
fn settings_of_a_run_that_were_changed_are_refused() {
    let scratch = stopped();
    let settings = fs::read_to_string(scratch.path("run/settings.toml")).unwrap();
    for changed in
        [String::new(), settings[..settings.len() / 2].to_owned(), settings.replace("1000000", "3"), settings.lines().skip(1).collect()]
    {
        scratch.write("run/settings.toml", changed.as_bytes());
        let ended = scratch.run(&["train", "resume", "run"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains("settings.toml") && ended.stderr.contains("--set"), "{}", ended.stderr);
    }
    // By the command itself they are changed as ever.
    scratch.write("run/settings.toml", settings.as_bytes());
    for _ in 0..2 {
        let ended = scratch.run(&["train", "resume", "run", "--set", "pnet.epochs=1"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert_eq!(scratch.run(&["train", "resume", "run"]).code, Some(0));
}

#[test]
fn two_signals_at_once_are_one() {
    let scratch = scratch();
    let mut child = start(&scratch, &["train", "pnet", "--out", "run", "--config", "own.toml", "--set", "pnet.epochs=1000000"]);
    wait_for_checkpoint(&scratch, "run", &mut child);
    for signal in ["-TERM", "-TERM", "-INT"] {
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    }
    let ended = end(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped and saved"), "{}", ended.stderr);
}
