//! What the machine says of itself.

use std::fs;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The machine that was measured on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
}

impl Machine {
    /// Asks the kernel.
    pub(crate) fn ask() -> anyhow::Result<Machine> {
        let value = |file: &str, name: &str| -> anyhow::Result<String> {
            let text = fs::read_to_string(file).with_context(|| format!("read {file}"))?;
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            Ok(value
                .map_or("unknown", |(_, value)| value.trim())
                .to_owned())
        };
        let memory = value("/proc/meminfo", "MemTotal")?;
        let kib = memory.split_whitespace().next();
        let kib: u64 = kib.context("find the size of the memory")?.parse()?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("name the kernel")?;
        Ok(Machine {
            cores: std::thread::available_parallelism()?.get(),
            processor: value("/proc/cpuinfo", "model name")?,
            memory_bytes: kib * 1024,
            kernel: kernel.trim().to_owned(),
        })
    }
}
