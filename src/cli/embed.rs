//! `mtcmcn embed`: images in, an embedding for every face out.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use mtcmcn::data::{Detection, ImageDetections, embeddings, json};
use mtcmcn::picture::decode::Reading;
use mtcmcn::{Detections, Embedding, Frame};

use super::input::{self, Input};
use super::recognizer::{FaceReader, RecognizerArgs};
use super::{Outcome, explain, prefetch, progress};

/// Turn faces into embeddings, vectors of which those of one person are alike
///
/// Finds the faces of each image as `mtcmcn detect` does, aligns them by their landmarks, and gives each to
/// the recogniser as it is and mirrored; the sum of both results, scaled to length 1, is the embedding. The
/// cosine of two embeddings of one recogniser tells whether they are of one person.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct EmbedArgs {
    /// Images, or directories to search for images (recursively, in order of name, hidden files passed over);
    /// `-` reads an image from standard input, or a list of paths
    #[arg(value_name = "PATH", required_unless_present = "list")]
    paths: Vec<PathBuf>,

    /// File with more paths, one a line or each ended by a zero byte; taken after every PATH
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,

    /// Write the embeddings to this numpy archive: `names` (the path, with `#2`, `#3` and so on for further
    /// faces of an image), `embeddings` (a row a face), `boxes` and `scores`.
    /// `mtcmcn eval verify --embeddings` reads it
    #[arg(long, short, value_name = "FILE", required_unless_present = "json", help_heading = "Output")]
    out: Option<PathBuf>,

    /// Print one JSON object a line and image, as `mtcmcn detect --json` does, with the `embedding` of each
    /// face; null for one whose landmarks allow no crop
    #[arg(long, help_heading = "Output")]
    json: bool,

    #[command(flatten)]
    recognizer: RecognizerArgs,
}

/// Embeds all faces in what `args` names.
///
/// # Errors
///
/// If no recogniser can be made or something cannot be written. An input that cannot be read is reported in
/// its place, and the outcome is [`Outcome::Failed`].
pub fn run(args: &EmbedArgs, quiet: bool) -> Result<Outcome> {
    let inputs = input::expand(&args.paths, args.list.as_deref(), &[]);
    let reader = args.recognizer.open()?;
    let faces = embeddings::EmbeddedFaces::new(reader.recognizer.elements());
    let mut run = EmbedRun {
        args,
        reader,
        faces,
        out: BufWriter::new(io::stdout().lock()),
        progress: progress(inputs.len(), quiet),
        outcome: Outcome::Nothing,
    };
    let reading = Reading::first(args.recognizer.detector.max_pixels());
    let read = |input: &Input| input.as_ref().ok().map(|image| image.picture(&reading));
    prefetch::in_order(&inputs, prefetch::decoders(), read, |index, picture| {
        match (&inputs[index], picture) {
            (Ok(image), Some(Ok(mut picture))) => {
                picture.warnings.iter().for_each(|warning| tracing::warn!("{}: {warning}", image.path.display()));
                run.embed(&image.path, &picture.frames.swap_remove(0))?;
            }
            (Ok(image), Some(Err(error))) => run.refuse(&image.path, &explain(&error.into()))?,
            (Ok(_), None) => {} // never: every image was read
            (Err(unreadable), _) => run.refuse(&unreadable.path, &unreadable.error)?,
        }
        run.progress.inc(1);
        Ok(())
    })?;
    run.progress.finish_and_clear();
    if let Some(path) = &args.out {
        run.faces.write(path)?;
    }
    Ok(run.outcome)
}

/// One run over all inputs.
struct EmbedRun<'a, W> {
    args: &'a EmbedArgs,
    reader: FaceReader,
    faces: embeddings::EmbeddedFaces,
    out: W,
    progress: ProgressBar,
    outcome: Outcome,
}

impl<W: Write> EmbedRun<'_, W> {
    fn embed(&mut self, path: &Path, frame: &Frame) -> Result<()> {
        let (found, embeddings) = match self.reader.read(frame) {
            Ok(read) => read,
            Err(error) => return self.refuse(path, &explain(&error)),
        };
        if self.outcome == Outcome::Nothing && embeddings.iter().any(Option::is_some) {
            self.outcome = Outcome::Found;
        }
        let name = path.to_string_lossy();
        for (number, (face, embedding)) in (1..).zip(found.faces.iter().zip(&embeddings)) {
            let Some(embedding) = embedding else {
                tracing::warn!("{name}: face {number} has landmarks that allow no crop");
                continue;
            };
            let name = if number == 1 { name.to_string() } else { format!("{name}#{number}") };
            self.faces.add(name, embedding.values(), face.bounding_box, face.score);
        }
        let text =
            if self.args.json { line(&name, frame, &found, &embeddings) } else { format!("{:>4} faces  {name}\n", found.faces.len()) };
        self.print(&text)
    }

    fn refuse(&mut self, path: &Path, error: &str) -> Result<()> {
        self.outcome = Outcome::Failed;
        let name = path.to_string_lossy();
        self.progress.suspend(|| {
            let _ = writeln!(io::stderr(), "mtcmcn: {}: {error}", name.replace(char::is_control, "\u{fffd}"));
        });
        if self.args.json { self.print(&json::refused_line(&name, error, &serde_json::Map::new())) } else { Ok(()) }
    }

    fn print(&mut self, text: &str) -> Result<()> {
        let Self { out, progress, .. } = self;
        progress.suspend(|| out.write_all(text.as_bytes()).and_then(|()| out.flush())).context("writing results to standard output")
    }
}

fn line(name: &str, frame: &Frame, found: &Detections, embeddings: &[Option<Embedding>]) -> String {
    let faces = found.faces.iter().map(|face| Detection::new(face.bounding_box, face.score, face.landmarks));
    let image = ImageDetections {
        path: name.to_owned(),
        size: Some([frame.width(), frame.height()]),
        faces: faces.collect(),
        truncated: found.truncated,
        line: 0,
    };
    let vectors: Vec<Option<&[f32]>> = embeddings.iter().map(|embedding| embedding.as_ref().map(Embedding::values)).collect();
    json::embedded_line(&image, &vectors)
}
