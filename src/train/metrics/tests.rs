use super::*;

struct MetricsFolder(PathBuf);

impl MetricsFolder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mtcmcn-metrics-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn sizes(&self) -> Vec<u64> {
        let mut files: Vec<_> = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|path| std::fs::metadata(path).unwrap().len()).collect()
    }
}

impl Drop for MetricsFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record(step: u64) -> Record {
    Record {
        kind: if step.is_multiple_of(10) { Kind::Validation } else { Kind::Train },
        step,
        epoch: step as f64 / 10.0,
        loss: Some(1.0 / step as f64),
        figures: [("accuracy", Some(0.75)), ("box", None), ("class", Some(0.5)), ("landmarks", None)]
            .map(|(name, mean)| (name.to_owned(), mean))
            .into(),
        learning_rate: 0.001,
        samples_per_second: 100.0,
        seconds: step as f64,
    }
}

#[test]
fn a_resumed_run_goes_on_in_the_same_files_without_a_step_twice() {
    let folder = MetricsFolder::new("resumed");
    let mut metrics = Metrics::open(&folder.0, 0, true).unwrap();
    (1..=20).for_each(|step| metrics.write(&record(step)).unwrap());
    metrics.sync().unwrap();
    let whole = folder.sizes();
    drop(metrics);
    // Killed in the middle of a record.
    let path = folder.0.join(FILE);
    let length = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 3).unwrap();
    assert_eq!(read(&folder.0).unwrap().len(), 19);
    let mut metrics = Metrics::open(&folder.0, 12, true).unwrap();
    assert_eq!(read(&folder.0).unwrap(), (1..=12).map(record).collect::<Vec<_>>());
    (13..=20).for_each(|step| metrics.write(&record(step)).unwrap());
    assert_eq!(read(&folder.0).unwrap(), (1..=20).map(record).collect::<Vec<_>>());
    assert_eq!(folder.sizes(), whole, "the same two files of the same size");
}

#[test]
fn a_new_run_begins_with_empty_files() {
    let folder = MetricsFolder::new("new");
    for _ in 0..2 {
        let mut metrics = Metrics::open(&folder.0, 0, false).unwrap();
        metrics.write(&record(3)).unwrap();
        assert_eq!(read(&folder.0).unwrap(), [record(3)]);
    }
    assert_eq!(folder.sizes().len(), 1, "no event file without tensorboard");
}

#[test]
fn a_line_that_is_no_record_is_named() {
    let folder = MetricsFolder::new("line");
    std::fs::write(folder.0.join(FILE), format!("{}\n{{}}\n", serde_json::to_string(&record(1)).unwrap())).unwrap();
    let error = read(&folder.0).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains(FILE), "{error}");
    let error = read(&folder.0.join("missing")).unwrap_err().to_string();
    assert!(error.contains("read") && error.contains(FILE), "{error}");
}
