//! FDDB lists, detections and curves.

use mtcmcn::data::fddb::{
    Ellipse, FddbImage, Region, RocPoint, ScoredRegion, detections_text, parse_detections, parse_ellipses, parse_names, parse_roc, roc_text,
};
use mtcmcn::geometry::BoundingBox;

use super::{assert_faults, clean, edges, lenient};

const ELLIPSES: &str = "2002/08/11/big/img_591\n1\n123.583300 85.549500 1.265839 269.693400 161.781200  1\n2002/08/26/big/img_265\n0\n";

#[test]
fn ellipses_are_read() {
    let images = clean(ELLIPSES, parse_ellipses);
    assert_eq!(
        images.iter().map(|image| (&*image.name, image.faces.len())).collect::<Vec<_>>(),
        [("2002/08/11/big/img_591", 1), ("2002/08/26/big/img_265", 0)]
    );
    let ellipse = images[0].faces[0];
    assert_eq!([ellipse.major_radius, ellipse.angle, ellipse.y], [123.5833, 1.265_839, 161.7812]);
}

#[test]
fn the_box_around_an_ellipse_touches_it() {
    let upright = Ellipse { major_radius: 10.0, minor_radius: 4.0, angle: std::f64::consts::FRAC_PI_2, x: 20.0, y: 30.0 };
    assert_eq!(edges(upright.bounding_box()), [16.0, 20.0, 24.0, 40.0]);
    let turned = Ellipse { angle: 0.7, ..upright };
    // The expected extremes are those of points sampled along the outline.
    let outline = (0..100_000).map(|step| {
        let t = f64::from(step) * std::f64::consts::TAU / 100_000.0;
        let (u, v) = (turned.major_radius * t.cos(), turned.minor_radius * t.sin());
        (turned.x + u * turned.angle.cos() - v * turned.angle.sin(), turned.y + u * turned.angle.sin() + v * turned.angle.cos())
    });
    let [mut x1, mut y1, mut x2, mut y2] = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    outline.for_each(|(x, y)| (x1, y1, x2, y2) = (x1.min(x), y1.min(y), x2.max(x), y2.max(y)));
    for (got, want) in edges(turned.bounding_box()).into_iter().zip([x1, y1, x2, y2]) {
        assert!((f64::from(got) - want).abs() < 1e-4, "{got} {want}");
    }
}

#[test]
fn detections_come_back_as_they_were_written() {
    let rectangle = Region::Rectangle(BoundingBox { x1: 192.5, y1: -75.25, x2: 300.0, y2: 0.5 });
    let ellipse = Region::Ellipse(Ellipse { major_radius: 12.5, minor_radius: 8.1, angle: -0.3, x: 1.0, y: 2.0 });
    let faces = vec![ScoredRegion { region: rectangle, score: 0.999_999_761_581 }, ScoredRegion { region: ellipse, score: -3.0 }];
    let images = [FddbImage { name: "2002/a".into(), faces, line: 1 }, FddbImage { name: "2002/b".into(), faces: vec![], line: 5 }];
    assert_eq!(clean(&detections_text(&images), parse_detections), images);
}

#[test]
fn faulty_rows_and_counts_are_named() {
    let (images, faults) =
        lenient("a/1\n3\n1 2 3 4 nan\n1 2 0 4 .5\n-1 2 0 4 5 .5\nb/2\n2\n1 2 3 4 5\nb/3\n1\n1 2 3 4 5 6 7\nb/3\n0\n", parse_detections);
    assert_eq!(images.iter().map(|image| (&*image.name, image.faces.len())).collect::<Vec<_>>(), [("a/1", 0), ("b/3", 0)]);
    assert_faults(&faults, &[(7, "2 face(s)"), (3, "NaN"), (4, "no area"), (5, "ellipse"), (11, "neither"), (12, "already")]);
    assert_faults(&lenient("a/1\n1\n0 2 3 4 5 1\n", parse_ellipses).1, &[(3, "no area: face")]);
}

#[test]
fn names_and_curves() {
    assert_eq!(clean("2002/a\n2002/b\n", parse_names), ["2002/a", "2002/b"]);
    assert_faults(&lenient("2002/a\n12\n2002/a\n", parse_names).1, &[(2, "not the name"), (3, "already")]);
    let points = [
        RocPoint { rate: 0.9505, false_positives: 2000.0, threshold: 0.25 },
        RocPoint { rate: 1e-3, false_positives: 0.0, threshold: 1.0 },
    ];
    assert_eq!(clean(&roc_text(&points), parse_roc), points);
    let (points, faults) = lenient("0.5 3\n0.5\nx 1 2\n", parse_roc);
    assert!(points.len() == 1 && points[0].threshold.is_nan());
    assert_faults(&faults, &[(2, "1 numbers"), (3, "\"x\"")]);
}
