//! What keys and buttons do.

use egui::Key;

use crate::source::SourceSpec;

/// Something the user asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Another source.
    Open(SourceSpec),
    /// Hold the source, or let it go on.
    Pause,
    /// So many frames on.
    Frame(i64),
    /// Look inside the cascade, or stop looking.
    Cascade,
    /// So many stages on.
    Stage(i64),
    /// The frame as a PNG file.
    Snapshot,
    /// The window as a PNG file.
    View,
    /// Aligned faces as PNG files.
    Crops,
    /// Begin or end a recording.
    Record,
    /// Turn left and right.
    Mirror,
    /// Boxes on or off.
    Boxes,
    /// Landmarks on or off.
    Landmarks,
    /// Tracking on or off.
    Tracking,
    /// Plots on or off.
    Speed,
    /// The whole screen, or a window.
    FullScreen,
    /// Closer or farther.
    Zoom(f32),
    /// The whole frame.
    Fit,
    /// Every setting of the detector to its default.
    Reset,
    /// The list of keys.
    Help,
    /// End.
    Quit,
}

/// Every key with what it does, as it stands in the help and in the README.
pub fn table() -> Vec<(Key, &'static str, Action, &'static str)> {
    vec![
        (Key::Space, "Space", Action::Pause, "hold the source, or let it go on"),
        (Key::Comma, ",", Action::Frame(-1), "one frame back, where there is an order"),
        (Key::Period, ".", Action::Frame(1), "one frame on"),
        (Key::I, "I", Action::Cascade, "look inside the cascade (holds the source)"),
        (Key::ArrowLeft, "Left", Action::Stage(-1), "previous stage"),
        (Key::ArrowRight, "Right", Action::Stage(1), "next stage"),
        (Key::S, "S", Action::Snapshot, "save the frame (PNG, and JSON of what was found)"),
        (Key::V, "V", Action::View, "save the window as it is (PNG)"),
        (Key::K, "K", Action::Crops, "save the aligned faces (PNG, 112 x 112)"),
        (Key::R, "R", Action::Record, "begin or end a recording (NDJSON)"),
        (Key::M, "M", Action::Mirror, "mirror"),
        (Key::B, "B", Action::Boxes, "boxes"),
        (Key::L, "L", Action::Landmarks, "landmarks"),
        (Key::T, "T", Action::Tracking, "tracking"),
        (Key::P, "P", Action::Speed, "plots of speed"),
        (Key::F, "F", Action::FullScreen, "full screen"),
        (Key::Plus, "+", Action::Zoom(1.25), "closer (also the mouse wheel; drag to move)"),
        (Key::Minus, "-", Action::Zoom(0.8), "farther"),
        (Key::Num0, "0", Action::Fit, "the whole frame (also a double click)"),
        (Key::Num1, "1", Action::Open(SourceSpec::Synthetic), "the synthetic scene"),
        (Key::F1, "F1", Action::Help, "the list of keys"),
        (Key::Q, "Q", Action::Quit, "quit"),
    ]
}

/// What the keys that were pressed ask for; nothing while a widget has the keyboard.
pub fn pressed(ctx: &egui::Context) -> Vec<Action> {
    if ctx.memory(|memory| memory.focused().is_some()) {
        return Vec::new();
    }
    ctx.input(|input| {
        // With Ctrl, Alt or Command they belong to egui or the system; Shift is needed for `+` on many
        // keyboards.
        if input.modifiers.ctrl || input.modifiers.alt || input.modifiers.command {
            return Vec::new();
        }
        let hit = |key: Key| input.key_pressed(key) || (key == Key::Plus && input.key_pressed(Key::Equals));
        table().into_iter().filter(|(key, ..)| hit(*key)).map(|(_, _, action, _)| action).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_and_the_readme_lists_them_all() {
        let table = table();
        let readme = include_str!("../README.md");
        for (i, (key, name, _, what)) in table.iter().enumerate() {
            assert!(table[i + 1..].iter().all(|(other, ..)| other != key), "{name}");
            assert!(readme.contains(&format!("| `{name}` | {what} |")), "the README lacks `| `{name}` | {what} |`");
        }
    }
}
