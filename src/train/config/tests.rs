use super::*;

fn error(text: &str) -> String {
    TrainConfig::from_toml(text, "x.toml").unwrap_err().to_string()
}

#[test]
fn the_defaults_are_the_papers() {
    let config = TrainConfig::default();
    for net in [&config.pnet, &config.rnet, &config.onet] {
        assert_eq!((net.epochs, net.batch, net.ratio), (100, 32, [3, 1, 1, 2]));
        assert_eq!((net.optimizer.kind, net.optimizer.learning_rate), (OptimizerKind::Adam, 0.001));
        assert_eq!(net.mining, Tasks { class: 0.7, r#box: 1.0, landmarks: 1.0 });
        assert_eq!((net.loss.class, net.loss.r#box), (1.0, 0.5));
        assert_eq!((net.augment.contrast, net.augment.brightness, net.augment.hue), ([0.5, 1.5], 0.2, 0.2));
    }
    assert_eq!([&config.pnet, &config.rnet, &config.onet].map(|net| net.loss.landmarks), [0.5, 0.5, 1.0]);
    assert_eq!([&config.pnet, &config.rnet, &config.onet].map(|net| net.dropout), [0.0, 0.0, 0.25]);
    assert_eq!(config.data.split, [80, 10, 10]);
}

#[test]
fn settings_read_back_as_they_were_written() {
    let text =
        "[[data.sources]]\nformat = 'wider'\nannotations = 'a.txt'\n[net]\nbatch = 7\n[onet.schedule]\nkind = 'step'\nepochs = [3, 9]";
    let config = TrainConfig::from_toml(text, "x").unwrap();
    assert_eq!(TrainConfig::from_toml(&config.to_toml(), "again").unwrap(), config);
    assert_eq!(config.data.sources[0].format, SourceFormat::Wider);
}

#[test]
fn one_net_wins_over_all_nets_and_the_command_line_over_the_file() {
    let config = TrainConfig::from_toml("[onet]\nbatch = 5\n[net]\nbatch = 7\nloss.landmarks = 2", "x").unwrap();
    assert_eq!([config.pnet.batch, config.rnet.batch, config.onet.batch], [7, 7, 5]);
    assert_eq!([config.pnet.loss.landmarks, config.onet.loss.landmarks], [2.0, 2.0]);
    let settings = ["net.batch=9", "run.device=llvmpipe (LLVM 15)", "onet.optimizer.kind=sgd"].map(str::to_owned);
    let config = TrainConfig::load(None, &settings, None).unwrap();
    assert_eq!((config.onet.batch, config.run.device.as_str()), (9, "llvmpipe (LLVM 15)"));
    assert_eq!((config.onet.optimizer.kind, config.pnet.optimizer.kind), (OptimizerKind::Sgd, OptimizerKind::Adam));
}

#[test]
fn a_wrong_key_is_named_with_its_place() {
    for (text, needles) in [
        ("sede = 1", &["x.toml", "sede", "unknown field"][..]),
        ("[onet.optimizer]\nlr = 1", &["onet.optimizer", "lr", "learning_rate"]),
        ("[net]\nbatches = 1", &["x.toml: net.batches: ", "`batch`"]),
        ("[onet]\nbatch = 'many'", &["onet.batch", "expected a whole number"]),
        ("[onet]\nbatch = -1", &["x.toml: onet.batch: ", "-1"]),
        ("[onet]\nratio = [1, 2]", &["onet.ratio", "4"]),
        ("[onet.optimizer]\nkind = 'lion'", &["onet.optimizer.kind", "lion", "adamw"]),
        ("[[data.sources]]\nformat = 'cocoa'", &["data.sources[0].format", "cocoa", "wider"]),
        ("[[data.sources]]\nformat = 'wider'", &["data.sources[0]", "annotations"]),
        ("seed = 1\n[run\n", &["x.toml", "line 2"]),
    ] {
        let error = error(text);
        assert!(needles.iter().all(|needle| error.contains(needle)), "{text}: {error}");
    }
}

#[test]
fn a_number_out_of_range_is_named_with_its_range() {
    for (text, needles) in [
        ("[onet]\nbatch = 32\nmicro_batch = 5", ["onet.micro_batch", "is 5", "divisor of the batch"]),
        ("[onet]\nbatch = 0", ["onet.batch", "is 0", "between 1 and 4096"]),
        ("[net.mining]\nclass = 0", ["pnet.mining.class", "is 0", "over 0 and at most 1"]),
        ("[net.mining]\nclass = nan", ["pnet.mining.class", "NaN", "over 0"]),
        ("[rnet.optimizer]\nlearning_rate = inf", ["rnet.optimizer.learning_rate", "inf", "at most 100"]),
        ("[rnet.optimizer]\nbeta1 = 1", ["rnet.optimizer.beta1", "1", "under 1"]),
        ("[net.augment]\ncontrast = [1.5, 0.5]", ["pnet.augment.contrast", "[1.5, 0.5]", "in order"]),
        ("[net]\nratio = [0, 0, 0, 0]", ["pnet.ratio", "[0, 0, 0, 0]", "over 0"]),
        ("[[data.sources]]\nformat = 'wider'\nannotations = 'a'\nmin_face_px = 0", ["data.sources[0].min_face_px", "0", "between 1"]),
        ("[run]\nkeep = 0", ["run.keep", "0", "between 1"]),
        ("[data.crops]\noverlaps = [0.4, 0.3, 0.65]", ["data.crops.overlaps", "0.4", "in order"]),
        ("[data]\nsplit = [0, 1, 1]", ["data.split", "[0, 1, 1]", "over 0"]),
    ] {
        let error = error(text);
        assert!(needles.iter().all(|needle| error.contains(needle)), "{text}: {error}");
    }
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = std::env::temp_dir().join(format!("mtcmcn-config-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("x.toml");
    fs::write(&path, "[[data.sources]]\nformat = 'celeba'\nannotations = 'a.txt'\nlandmarks = '/b.txt'\nexcept = ['c.txt']\n[onet]\nstart = 'd.safetensors'").unwrap();
    let config = TrainConfig::load(Some(&path), &[], None).unwrap();
    let elsewhere = TrainConfig::load(Some(&path), &[], Some(Path::new("/data"))).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!((&config.onet.start, &config.pnet.start), (&Some(folder.join("d.safetensors")), &None));
    assert_eq!((&config.data.sources[0].except[0], &elsewhere.data.sources[0].except[0]), (&folder.join("c.txt"), &"/data/c.txt".into()));
    assert_eq!(config.data.sources[0].annotations, folder.join("a.txt"));
    assert_eq!(config.data.sources[0].landmarks.as_deref(), Some(Path::new("/b.txt")));
    let set = TrainConfig::load(None, &["rnet.start=e.safetensors".to_owned()], None).unwrap();
    assert_eq!(set.rnet.start, Some(std::env::current_dir().unwrap().join("e.safetensors")));
    let missing = TrainConfig::load(Some(&path), &[], None).unwrap_err().to_string();
    assert!(missing.contains("x.toml"), "{missing}");
}
