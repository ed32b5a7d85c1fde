//! Training runs on the CPU engine: resumed ones, spoiled ones, and crops that lack something.

use mtcmcn::Engine;
use mtcmcn::kernels::train::SampleBits as Sample;
use mtcmcn::train::metrics::Kind;
use mtcmcn::train::run::{End, RunError};

use crate::training_runs::{Crops, Scratch, resumed_equals_uninterrupted};

#[test]
fn a_resumed_run_of_every_optimizer_equals_an_uninterrupted_one() {
    for kind in ["adam", "adamw", "sgd"] {
        let settings =
            format!("net.optimizer = {{ kind = '{kind}', weight_decay = 0.01 }}\nnet.schedule = {{ kind = 'cosine', warmup_steps = 3 }}");
        resumed_equals_uninterrupted(&Engine::cpu(), "pnet", &Crops::pnet(6), &settings);
    }
}

#[test]
fn a_resumed_run_with_dropout_equals_an_uninterrupted_one() {
    let crops = Crops { side: 48, ..Crops::pnet(3) };
    resumed_equals_uninterrupted(&Engine::cpu(), "onet", &crops, "");
}

#[test]
fn a_rate_far_too_high_is_seen_named_and_leaves_the_last_good_checkpoint() {
    let scratch = Scratch::new();
    let settings = "net.epochs = 100\nnet.optimizer = { kind = 'sgd', learning_rate = 100 }\nrun.log_steps = 1";
    let error = scratch.train(&Engine::cpu(), "pnet", &Crops::pnet(8), settings, 0).unwrap_err();
    let RunError::NotFinite { net, step, .. } = &error else { panic!("{error}") };
    let kept = scratch.newest();
    assert!(net == "pnet" && *step > kept.progress.step, "{error}");
    assert!(error.to_string().contains(&format!("step-{:09}", kept.progress.step)), "{error}");
    assert!(kept.tensors.values().flat_map(|tensor| &tensor.data).all(|value| value.is_finite()));
}

#[test]
fn it_learns_what_is_plain_to_see() {
    let scratch = Scratch::new();
    let crops = Crops { kinds: vec![Sample::NEGATIVE, Sample::POSITIVE], per_epoch: 40, ..Crops::pnet(16) };
    scratch.train(&Engine::cpu(), "pnet", &crops, "net.epochs = 3\nrun.log_steps = 10", 0).unwrap();
    let records = scratch.records();
    let last = records.iter().rfind(|record| record.kind == Kind::Validation).unwrap();
    assert!(last.get("accuracy").unwrap() > 0.95, "{last:?}");
    assert!(last.loss.unwrap() < records[0].loss.unwrap() / 2.0, "{records:?}");
    assert_eq!(last.get("landmarks"), None);
}

#[test]
fn batches_that_lack_a_class_or_a_task_or_have_one_sample_are_learned_from() {
    for (kinds, has) in [
        (vec![Sample::NEGATIVE], [true, false, false]),
        (vec![Sample::POSITIVE], [true, true, false]),
        (vec![Sample::PART], [false, true, false]),
        (vec![Sample::LANDMARKS], [false, false, true]),
        (vec![Sample::NONE], [false, false, false]),
    ] {
        for n in [1, 5] {
            let scratch = Scratch::new();
            let crops = Crops { kinds: kinds.clone(), ..Crops::pnet(n) };
            assert_eq!(scratch.train(&Engine::cpu(), "pnet", &crops, "net.epochs = 1", 0).unwrap(), End::Finished);
            for record in scratch.records() {
                let [class, r#box, landmarks] = ["class", "box", "landmarks"].map(|task| record.get(task).is_some());
                assert_eq!([class, r#box, landmarks], has, "{kinds:?} {record:?}");
                assert_eq!((record.get("accuracy").is_some(), record.loss.is_some()), (has[0], has.contains(&true)));
            }
        }
    }
}
