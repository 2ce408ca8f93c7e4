//! Programs that destroy or rearrange disks.

use super::call::Call;
use super::judge::Judge;
use super::options::Spec;
use super::paths;
use super::word::Word;
use crate::domain::facts::Effect;

impl Judge {
    /// Judges what happens to disks; `false` when the program does not touch them.
    pub(super) fn disk(&mut self, call: Call<'_>) -> bool {
        match call.name {
            "dd" | "gdd" | "dcfldd" | "ddrescue" => self.dd(call),
            "shred" | "wipe" | "scrub" => {
                let spec = Spec::new("fuvxz", "ns", "force remove? zero verbose exact iterations= size=");
                let given = self.given_openly(&spec, call.words);
                self.effects(&[Effect::Delete, Effect::Disk]);
                if call.name == "wipe" || given.operands.iter().any(|word| matches!(word, Word::Pattern(_))) {
                    self.effect(Effect::DeleteTree);
                }
                given.operands.iter().for_each(|word| self.alters(word.path()));
            }
            "fdisk" | "sfdisk" | "parted" | "gdisk" | "sgdisk" if lists(call) => self.changes(),
            "blkdiscard" | "badblocks" | "cfdisk" | "cgdisk" | "cryptsetup" | "fdisk" | "gdisk"
            | "hdparm" | "lvreduce" | "lvremove" | "lvresize" | "mdadm" | "mke2fs" | "mkswap" | "newfs"
            | "nvme" | "parted" | "partprobe" | "pvcreate" | "pvremove" | "resize2fs" | "sfdisk"
            | "sgdisk" | "swapoff" | "swapon" | "tune2fs" | "vgreduce" | "vgremove" | "wipefs" | "zfs"
            | "zpool" | "btrfs" | "losetup" | "e2fsck" | "fsck" | "sg_format" | "flashrom" | "fstrim"
            | "efibootmgr" | "grub-install" | "diskutil" | "format" => self.destroys(call),
            name if name.starts_with("mkfs") || name.starts_with("fsck.") || name.starts_with("xfs_") => {
                self.destroys(call);
            }
            _ => return false,
        }
        true
    }

    fn destroys(&mut self, call: Call<'_>) {
        self.effect(Effect::Disk);
        call.words.iter().for_each(|word| self.path_like(word));
    }

    fn dd(&mut self, call: Call<'_>) {
        let mut written = false;
        for word in call.words {
            match word {
                Word::Known(text) => {
                    if let Some(file) = text.strip_prefix("of=") {
                        written = true;
                        self.writes(&Word::known(file));
                    } else if let Some(file) = text.strip_prefix("if=") {
                        self.reads(&Word::known(file));
                    }
                }
                Word::Pattern(_) | Word::Unknown { .. } => {
                    self.effects(&[Effect::Write, Effect::Unjudged]);
                    self.path(paths::UNKNOWN.to_owned());
                }
            }
        }
        if !written {
            self.changes();
        }
    }
}

fn lists(call: Call<'_>) -> bool {
    call.words.first().and_then(Word::as_known).is_some_and(|text| matches!(text, "-l" | "--list" | "-s"))
        && !call.words.iter().any(|word| matches!(word, Word::Unknown { .. }))
        && call.words.len() <= 2
}
