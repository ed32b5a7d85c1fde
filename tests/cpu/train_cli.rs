//! `mtcmcn train` through the real binary: settings, folders, errors.

use crate::cli::Scratch;

#[test]
fn settings_are_printed_with_comments_and_read_back() {
    let scratch = Scratch::new();
    let defaults = scratch.run(&["train", "config"]);
    assert_eq!((defaults.code, defaults.stderr.as_str()), (Some(0), ""));
    for needle in ["# Online hard sample mining", "learning_rate = 0.001", "batch = 32", "epochs = 100"] {
        assert!(defaults.stdout.contains(needle), "{needle}");
    }
    scratch.write("own.toml", defaults.stdout.as_bytes());
    let own = scratch.run(&["train", "config", "--config", "own.toml", "--set", "onet.batch=7"]);
    assert_eq!(own.code, Some(0), "{}", own.stderr);
    scratch.write("again.toml", own.stdout.as_bytes());
    let again = scratch.run(&["train", "config", "--config", "again.toml"]);
    assert_eq!(again.stdout, own.stdout);
    assert!(again.stdout.contains("batch = 7"));
}

#[test]
fn what_cannot_be_used_is_named_and_the_code_is_2() {
    let scratch = Scratch::new();
    scratch.write("key.toml", b"[onet]\nbatches = 3\n");
    scratch.write("range.toml", b"[net.mining]\nclass = 1.5\n");
    scratch.write("syntax.toml", b"seed = 1\n[net\n");
    scratch.write("runs/run.toml", b"command = 'dance'\n");
    scratch.write("old/run.toml", b"command = 'pnet'\n");
    scratch.write("old/checkpoints/best.safetensors", b"");
    scratch.write("file", b"");
    for (args, needles) in [
        (&["train", "config", "--config", "key.toml"][..], &["key.toml", "onet", "batches", "`batch`"][..]),
        (&["train", "pnet", "--out", "run", "--config", "range.toml"], &["pnet.mining.class", "1.5", "at most 1"]),
        (&["train", "all", "--out", "run", "--config", "syntax.toml"], &["syntax.toml", "line 2"]),
        (&["train", "all", "--out", "run", "--config", "missing.toml"], &["missing.toml"]),
        (&["train", "pnet", "--out", "run", "--set", "pnet.batch=0"], &["pnet.batch", "is 0", "between 1 and 4096"]),
        (&["train", "pnet", "--out", "run", "--set", "nonsense"], &["--set nonsense"]),
        (&["train", "pnet", "--out", "old", "--crops", "x"], &["old", "resume"]),
        (&["train", "pnet", "--out", "file/run", "--crops", "x"], &["file/run"]),
        (&["train", "pnet", "--out", "run", "--crops", "x", "--device", "a unicorn"], &["a unicorn"]),
        (&["train", "pnet", "--out", "run"], &["[[data.sources]]", "--crops"]),
        (&["train", "rnet", "--out", "run", "--set", "data.sources=[{format='json', annotations='x'}]"], &["pnet", "--weights"]),
        (&["train", "prepare", "onet", "--out", "o.shard"], &["[[data.sources]]"]),
        (
            &["train", "prepare", "pnet", "--out", "p.shard", "--set", "data.sources=[{format='json', annotations='x.ndjson'}]"],
            &["x.ndjson"],
        ),
        (&["train", "resume", "nowhere"], &["nowhere", "run.toml"]),
        (&["train", "resume", "runs"], &["run.toml", "dance"]),
        (&["train", "plot", "nowhere"], &["nowhere"]),
        (&["train", "plot", "runs"], &["runs", "metrics.jsonl"]),
        (&["train", "pnet", "--out", "run", "--crops", "missing.shard"], &["missing.shard"]),
    ] {
        let ended = scratch.run(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ended.stderr);
        assert!(needles.iter().all(|needle| ended.stderr.contains(needle)), "{args:?}: {}", ended.stderr);
    }
    for args in [&["train"][..], &["train", "xnet"], &["train", "pnet"], &["train", "experiment", "cooking"], &["train", "resume"]] {
        assert_eq!(scratch.run(args).code, Some(2), "{args:?}");
    }
}
