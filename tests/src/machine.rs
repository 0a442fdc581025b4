//! What figures depend on: the CPU.

use std::fs;

/// The model of the CPUs, for people and to tell machines apart.
pub fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().map(str::trim) == Some(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = field("model name").unwrap_or_else(|| "an unnamed model".to_owned());
    field("model").map_or_else(|| name.clone(), |model| format!("{name}, model {model}"))
}
