//! Pair lists of the verification sets.

use mtcmcn::data::pairs::{Pair, PairForm, cacd_vs, parse};
use mtcmcn::data::{DataError, Faults, FileFaults};

use super::{assert_faults, clean, lenient};

fn as_form(form: PairForm) -> impl Fn(&[u8], &mut FileFaults) -> Result<Vec<Pair>, DataError> {
    move |bytes, faults| parse(bytes, form, faults)
}

fn short(pairs: &[Pair]) -> Vec<(&str, &str, bool, usize)> {
    pairs.iter().map(|pair| (&*pair.images[0], &*pair.images[1], pair.same, pair.fold)).collect()
}

#[test]
fn lfw() {
    let text = "2\t1\nA_B\t1\t4\nA_B\t1\tC\t12\nD\t2\t3\nD\t1\tC\t1\n";
    assert_eq!(
        short(&clean(text, as_form(PairForm::Lfw))),
        [
            ("A_B/A_B_0001", "A_B/A_B_0004", true, 0),
            ("A_B/A_B_0001", "C/C_0012", false, 0),
            ("D/D_0002", "D/D_0003", true, 1),
            ("D/D_0001", "C/C_0001", false, 1)
        ]
    );
    assert_eq!(clean("1\nA 1 2\nA 1 B 2\n", as_form(PairForm::Lfw)).len(), 2);
    // Skipped pairs do not move the other pairs to another fold.
    let (pairs, faults) = lenient("2 1\nA 1 x\nA 1 B 1\nA 1 B 1 1\nD 1 C 1\n", as_form(PairForm::Lfw));
    assert_eq!(short(&pairs), [("A/A_0001", "B/B_0001", false, 0), ("D/D_0001", "C/C_0001", false, 1)]);
    assert_faults(&faults, &[(2, "pair skipped"), (4, "pair skipped"), (4, "one person is expected")]);
    assert_faults(&lenient("2 1\nA 1 2\n", as_form(PairForm::Lfw)).1, &[(1, "2 fold(s)")]);
    assert_faults(&lenient("", as_form(PairForm::Lfw)).1, &[(0, "empty")]);
    for bad in ["A 1 2\n", "0 5\n", "18446744073709551615 18446744073709551615\nA 1 2\n"] {
        let refused = parse(bad.as_bytes(), PairForm::Lfw, &mut Faults::lenient().of("f".as_ref()));
        assert!(refused.is_err() || bad.starts_with('1'), "{bad}");
    }
}

#[test]
fn agedb() {
    let text = "00001.jpg 00002.jpg 1\n00003.jpg 00004.jpg -1\n".repeat(10);
    let pairs = clean(&text, as_form(PairForm::AgeDb));
    assert_eq!(short(&pairs[2..4]), [("00001.jpg", "00002.jpg", true, 1), ("00003.jpg", "00004.jpg", false, 1)]);
    let (pairs, faults) = lenient("a b 1\na b 2\na b\n", as_form(PairForm::AgeDb));
    assert_eq!(pairs.len(), 1);
    assert_faults(&faults, &[(2, "1 or -1"), (3, "1 or -1"), (0, "3 pairs")]);
}

#[test]
fn calfw() {
    let same: String = (0..20).map(|k| format!("S_{k}_0001.jpg 1\nS_{k} 0002.jpg 7\n")).collect();
    let other: String = (0..20).map(|k| format!("A_{k}.jpg 0\nB_{k}.jpg 0\n")).collect();
    let pairs = clean(&(same + &other), as_form(PairForm::Calfw));
    assert_eq!(short(&pairs[2..3]), [("S_2_0001.jpg", "S_2 0002.jpg", true, 1)]);
    assert_eq!(short(&pairs[39..]), [("A_19.jpg", "B_19.jpg", false, 9)]);
    let (pairs, faults) = lenient("a 1\nb 0\na 0\nb x\nc 0\n", as_form(PairForm::Calfw));
    assert_eq!(pairs, []);
    assert_faults(&faults, &[(2, "unlike"), (3, "not an image"), (5, "without a partner")]);
}

#[test]
fn cacd_vs_is_known_without_a_list() {
    let pairs = cacd_vs();
    assert_eq!(pairs.len(), 4000);
    assert_eq!(short(&pairs[199..201]), [("0199_0", "0199_1", true, 0), ("0200_0", "0200_1", false, 0)]);
    assert_eq!(short(&pairs[3999..]), [("3999_0", "3999_1", false, 9)]);
}

/// Creates `pickle.dumps(([b"x", b"y"] * n, labels), 2)`, as protocols 2 and 3 encode it.
pub(crate) fn pickle(images: usize, labels: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"\x80\x03]q\x00(".to_vec();
    (0..images).for_each(|image| bytes.extend([b'C', 1, image as u8]));
    bytes.extend(b"e]q\x01(");
    labels.iter().for_each(|label| bytes.extend(*label));
    bytes.extend(b"e\x86q\x02.");
    bytes
}

#[test]
#[cfg(feature = "toolkit")]
fn insightface() {
    let labels: Vec<&[u8]> = (0..20).map(|k| if k % 2 == 0 { &b"\x88"[..] } else { b"K\x00" }).collect();
    let parse = |bytes: &[u8], faults: &mut Faults| parse(bytes, PairForm::Insightface, &mut faults.of("f.bin".as_ref()));
    let mut faults = Faults::strict();
    let pairs = parse(&pickle(40, &labels), &mut faults).expect("a good file");
    assert_eq!(short(&pairs[2..4]), [("4", "5", true, 1), ("6", "7", false, 1)]);
    let mut faults = Faults::lenient();
    assert_eq!(parse(&pickle(4, &[b"N", b"\x89"]), &mut faults).expect("lenient").len(), 1);
    assert_eq!(faults.list().iter().map(|fault| fault.skipped).collect::<Vec<_>>(), [true, false]);
    for bad in [pickle(3, &[b"\x88"]), b"\x80\x02]q\x00.".to_vec(), b"text".to_vec(), vec![]] {
        let error = parse(&bad, &mut Faults::lenient()).unwrap_err().to_string();
        assert!(error.contains("f.bin"), "{error}");
    }
}
