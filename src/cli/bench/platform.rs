//! What the operating system tells: the machine's name, the peak memory of this process, and energy. Linux
//! tells all three, other systems the first in part.

use std::fs;
use std::path::{Path, PathBuf};

/// The machine in words, such as `AMD EPYC, 2 cores, linux x86_64`.
pub fn machine() -> String {
    format!("{}, {} cores, {} {}", cpu(), cores(), std::env::consts::OS, std::env::consts::ARCH)
}

/// The processor's name, as far as it is told.
pub fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    field(&info, "model name")
        .map_or_else(|| "a processor without a name".to_owned(), |name| name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The value of the first line `name : value` or `name: value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':')))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

/// The most memory this process ever had in use, bytes; `None` where the system does not tell.
pub fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 = field(&status, "VmHWM")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Energy counters of the processor's packages (Linux powercap: Intel and AMD RAPL). They count all that runs
/// there, not this process alone.
#[derive(Debug)]
pub struct Energy {
    /// The counter of each package, microjoules, and the value at which it starts over.
    packages: Vec<(PathBuf, u64)>,
}

impl Energy {
    /// The counters that may be read; `None` if there are none, as in most virtual machines and for most
    /// users who are not root.
    pub fn find() -> Option<Self> {
        Self::below(Path::new("/sys/class/powercap"))
    }

    fn below(root: &Path) -> Option<Self> {
        // `intel-rapl:0` is a package, `intel-rapl:0:1` a part of it.
        let is_package = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().matches(':').count() == 1);
        let folders = fs::read_dir(root).ok()?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_package(path));
        let counter = |folder: PathBuf| {
            let range = number(&folder.join("max_energy_range_uj"))?;
            let energy = folder.join("energy_uj");
            number(&energy).map(|_| (energy, range))
        };
        let packages: Vec<_> = folders.filter_map(counter).collect();
        (!packages.is_empty()).then_some(Self { packages })
    }

    /// Every counter as it is now.
    pub fn read(&self) -> Vec<u64> {
        self.packages.iter().map(|(path, _)| number(path).unwrap_or(0)).collect()
    }

    /// Joules since `before`.
    pub fn since(&self, before: &[u64]) -> f64 {
        let each = self.packages.iter().zip(before).zip(self.read());
        let microjoules =
            each.map(|(((_, range), &before), now)| if now < before { now + (range - before.min(*range)) } else { now - before });
        microjoules.sum::<u64>() as f64 / 1e6
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: AMD  EPYC\nVmHWM:\t  1234 kB\n";
        assert_eq!(field(text, "model name"), Some("AMD  EPYC"));
        assert_eq!(field(text, "VmHWM"), Some("1234 kB"));
        assert_eq!(field(text, "Vm"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_the_peak_memory() {
        let before = peak_bytes().expect("told");
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(peak_bytes().expect("told") >= before.max(block.len() as u64));
    }

    #[test]
    fn energy_is_summed_over_packages_and_survives_a_counter_that_starts_over() {
        let root = std::env::temp_dir().join(format!("mtcmcn-powercap-{}", std::process::id()));
        let set = |folder: &str, energy: &str| {
            fs::create_dir_all(root.join(folder)).expect("can be made");
            fs::write(root.join(folder).join("energy_uj"), energy).expect("can be written");
            fs::write(root.join(folder).join("max_energy_range_uj"), "10000000\n").expect("can be written");
        };
        set("intel-rapl:0", "9000000\n");
        set("intel-rapl:1", "1000000\n");
        set("intel-rapl:0:0", "5\n");
        let energy = Energy::below(&root).expect("two packages");
        let before = energy.read();
        set("intel-rapl:0", "500000\n");
        set("intel-rapl:1", "1250000\n");
        set("intel-rapl:0:0", "4000000\n");
        let joules = energy.since(&before);
        fs::remove_dir_all(&root).expect("can be removed");
        assert!((joules - 1.75).abs() < 1e-9, "{joules}");
        assert!(Energy::below(&root).is_none());
    }
}
