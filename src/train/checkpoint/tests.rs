use super::*;
use crate::tensor::noise;

struct CheckpointFolder(PathBuf);

impl CheckpointFolder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mtcmcn-checkpoint-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for CheckpointFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn checkpoint(step: u64) -> Checkpoint {
    let tensor = |seed| Tensor { shape: vec![5, 2], data: noise(10, seed) };
    Checkpoint {
        net: "onet".into(),
        tensors: [("onet.conv1.weight", 1), ("optimizer.m.onet.conv1.weight", 2)].map(|(name, seed)| (name.into(), tensor(seed))).into(),
        progress: Progress { step, validated: 2, best_loss: Some(0.1 + 0.2), best_step: Some(3), seconds: 1.5 },
        seed: 7,
        config: "seed = 7\n".into(),
        data_hash: "abc".into(),
    }
}

#[test]
fn a_checkpoint_reads_back_as_it_was_and_is_a_weights_file() {
    let folder = CheckpointFolder::new("back");
    let store = Checkpoints::open(&folder.0, 3).unwrap();
    let path = store.save(&checkpoint(12)).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint(12));
    let weights = Weights::load(&path).unwrap();
    assert_eq!(weights.tensors()["onet.conv1.weight"], checkpoint(12).tensors["onet.conv1.weight"]);
    let alone = checkpoint(12).weights().unwrap();
    assert_eq!(alone.names().collect::<Vec<_>>(), ["onet.conv1.weight"]);
    assert_eq!(alone.metadata()["onet.trained_steps"], "12");
}

#[test]
fn the_last_few_are_kept_and_nothing_half_written() {
    let folder = CheckpointFolder::new("few");
    let store = Checkpoints::open(&folder.0, 2).unwrap();
    assert!(store.newest().unwrap().is_none());
    for step in [5, 900, 1_000_000_000, 1_000_000_001] {
        store.save(&checkpoint(step)).unwrap();
    }
    checkpoint(900).save(&store.best()).unwrap();
    fs::write(folder.0.join(".step-000000009.safetensors.1.0.tmp"), b"half").unwrap();
    let store = Checkpoints::open(&folder.0, 2).unwrap();
    assert_eq!(folder.names(), ["best.safetensors", "step-1000000000.safetensors", "step-1000000001.safetensors"]);
    assert_eq!(store.newest().unwrap().unwrap().checkpoint.progress.step, 1_000_000_001);
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed_and_the_one_before_is_taken() {
    let folder = CheckpointFolder::new("cut");
    let store = Checkpoints::open(&folder.0, 3).unwrap();
    store.save(&checkpoint(1)).unwrap();
    let path = store.save(&checkpoint(2)).unwrap();
    let whole = fs::read(&path).unwrap();
    let taken = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let newest = store.newest().unwrap().unwrap();
        assert_eq!(newest.checkpoint, checkpoint(newest.checkpoint.progress.step));
        assert_eq!(newest.unreadable.len(), usize::from(newest.checkpoint.progress.step == 1));
        newest.checkpoint.progress.step
    };
    assert_eq!(taken(&whole), 2);
    for cut in 0..whole.len() {
        assert_eq!(taken(&whole[..cut]), 1, "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        // Some bits of the header's spelling (a space for padding) mean nothing; then the same checkpoint is read.
        taken(&damaged);
    }
    let data = whole.len() - 80;
    for at in data..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert_eq!(taken(&damaged), 1, "damaged at {at}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let folder = CheckpointFolder::new("named");
    let store = Checkpoints::open(&folder.0, 3).unwrap();
    let path = store.save(&checkpoint(1)).unwrap();
    let whole = fs::read(&path).unwrap();
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = store.newest().unwrap_err();
        let CheckpointError::NoneReadable { newest, .. } = &error else { panic!("{error}") };
        format!("{error}; {newest}")
    };
    assert!(error(&whole[..whole.len() - 1]).contains("step-000000001.safetensors"));
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 0x10;
    assert!(error(&damaged).contains("damaged"));
    assert!(error(&Weights::default().to_bytes()).contains("no checkpoint"));
    let other = String::from_utf8_lossy(&whole).replace(r#""checkpoint":"1""#, r#""checkpoint":"9""#);
    assert_eq!(other.len(), String::from_utf8_lossy(&whole).len());
    let weights = Weights::default().with_metadata("checkpoint", "9");
    assert!(error(&weights.to_bytes()).contains("form \"9\""));
    fs::write(folder.0.join("file"), b"").unwrap();
    assert!(matches!(Checkpoints::open(&folder.0.join("file"), 1), Err(CheckpointError::Folder { .. })));
}
