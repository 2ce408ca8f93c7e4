//! The programs that change nothing, with every option that they are known to have.
//!
//! One line per program: its name, its letters without a value, its letters with one (`-` for none), its long
//! options (`name=` takes a value, `name?` takes one only after `=`). An option that is not in the line is not
//! known, and then neither is what the program does: most of these have options that write or run something, in
//! some version. After a name, `!` says that the program has such options, so that a word which may be an option
//! is not harmless either.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::options::Spec;

/// A program that changes nothing with the options of its line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) spec: Spec,
    pub(super) operands: Operands,
    /// It has other options, which do more.
    pub(super) guarded: bool,
}

/// What the operands of a program are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operands {
    /// Files that it reads.
    Files,
    /// Names, numbers, text.
    Words,
    /// What shells evaluate: only plain numbers, and jobs like `%1`.
    Numbers,
}

/// What is known of a program.
pub(super) fn entry(name: &str) -> Option<Entry> {
    static TABLE: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(table);
    TABLE.get(name).copied()
}

fn table() -> BTreeMap<&'static str, Entry> {
    let mut table = BTreeMap::new();
    for (text, operands) in [(FILES, Operands::Files), (WORDS, Operands::Words), (NUMBERS, Operands::Numbers)]
    {
        for line in text.lines() {
            let mut parts = line.splitn(4, ' ');
            let (Some(name), flags, short, long) =
                (parts.next().filter(|name| !name.is_empty()), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let letters = |part: Option<&'static str>| part.filter(|part| *part != "-").unwrap_or_default();
            let spec = Spec::new(letters(flags), letters(short), long.unwrap_or_default());
            let guarded = name.ends_with('!');
            table.insert(name.trim_end_matches('!'), Entry { spec, operands, guarded });
        }
    }
    table
}

const FILES: &str = "\
b2sum bctwz l binary check tag text zero quiet status strict warn length= ignore-missing
base32! di w decode ignore-garbage wrap=
base64! di w decode ignore-garbage wrap=
basename az s multiple zero suffix=
blkid! - Usto match-tag= match-token= output=
bzcat qs - quiet small
cat AbeEnstTuv - show-all number-nonblank show-ends number squeeze-blank show-tabs show-nonprinting
cd LP -
cksum bctwz al algorithm= check length= quiet status strict warn zero untagged base64 raw
cmp bls in bytes= print-bytes ignore-initial= verbose quiet silent
column tnxeLR scoNEHTdl table separator= output-separator= table-columns= table-right= table-hide=
comm 123iz - check-order nocheck-order output-delimiter= total zero-terminated
cut nsz bcdf bytes= characters= delimiter= fields= complement only-delimited output-delimiter= zero-terminated
df aBhHiklPTv tx all block-size= human-readable si inodes local no-sync portability print-type total type= output?
diff abBcdeEiNnpqrstTuwyZ0123456789 UCIxW unified? context? brief recursive new-file text side-by-side suppress-common-lines ignore-case ignore-space-change ignore-all-space ignore-blank-lines exclude= ignore-matching-lines= label= width= color? report-identical-files strip-trailing-cr no-dereference
diff3! aeAxX3imTE L
dir aAbBcCdfFgGhHiklmnNopqQrRsStuUvxXZ1 ITw all almost-all
dirname z - zero
dirs clpv -
du 0abcDhHklLmPsSx BdtX null all apparent-size bytes total dereference max-depth= human-readable inodes summarize separate-dirs threshold= time? time-style= exclude= exclude-from= one-file-system block-size=
expand i t initial tabs=
eza 1aAbBdDfFgGhHiIlmMnNoOrRSTtuUxX@ LsI long all tree level= git header group
exa 1aAbBdDfFgGhHiIlmMnNoOrRSTtuUxX@ LsI long all tree level= git header group
findmnt AaDefiJklnPrRuvy oStTMNO all bytes df list json noheadings output= raw target= source= types= real
fmt cstu wp width= crown-margin split-only tagged-paragraph uniform-spacing
fold bs w bytes spaces width=
getfacl aceEsRLPtpn -
getfattr dhLPR nem dump absolute-names name= encoding= match= only-values
gstat Lft c dereference file-system format= printf= terse
hd Cbcdovx ens
head qvz0123456789 nc lines= bytes= quiet silent verbose zero-terminated
hexdump Cbcdovx ens canonical
join i12z aejotv check-order nocheck-order header zero-terminated
ls aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ1 ITw all almost-all author block-size= color? directory classify? full-time group-directories-first no-group human-readable si dereference hide= ignore= indicator-style= inode literal numeric-uid-gid quote-name quoting-style= reverse recursive size sort= time= time-style= width= context zero escape file-type hyperlink?
lsattr RVadlpv -
lsblk abdDfilmnOpPrStJsTvz eIowxM all bytes nodeps fs json list paths output= output-all pairs raw noheadings tree? include= exclude= scsi perms
md5sum bctwz - binary check tag text zero quiet status strict warn ignore-missing
mountpoint dqx - quiet fs-devno devno nofollow
namei lmnovx - long modes owners vertical mountpoints nosymlinks
nl p bdfhilnsvw body-numbering= number-format= number-width= number-separator= starting-line-number= line-increment=
od bcdfhilosxv AjNtSw address-radix= skip-bytes= read-bytes= format= output-duplicates
paste sz d serial delimiters= zero-terminated
popd n -
pr acdfFJmrtTv0123456789 DehilnNoSwW columns= header= length= width= omit-header merge
pushd n -
readlink femnqsvz - canonicalize canonicalize-existing canonicalize-missing no-newline quiet silent verbose zero
realpath emLPqsz - canonicalize-existing canonicalize-missing logical physical quiet strip no-symlinks zero relative-to= relative-base=
rev - -
sha1sum bctwz - binary check tag text zero quiet status strict warn ignore-missing
sha224sum bctwz - binary check tag text zero quiet status strict warn ignore-missing
sha256sum bctwz - binary check tag text zero quiet status strict warn ignore-missing
sha384sum bctwz - binary check tag text zero quiet status strict warn ignore-missing
sha512sum bctwz - binary check tag text zero quiet status strict warn ignore-missing
stat Lftx c dereference file-system format= printf= terse
strings afowd nteT all print-file-name bytes= radix= encoding=
sum rs - sysv
tac br s before regex separator=
tail fFqvzr0123456789 ncs lines= bytes= follow? retry quiet silent verbose zero-terminated pid= sleep-interval= max-unchanged-stats=
tsort - -
unexpand a t all first-only tabs=
vdir aAbBcCdfFgGhHiklmnNopqQrRsStuUvxXZ1 ITw all almost-all
wc clmLw - bytes chars lines max-line-length words total=
xzcat! qQv - quiet verbose
zcat fqv - force quiet verbose
zstdcat! fqv - force quiet verbose
";

const WORDS: &str = "\
: - -
apropos! aedlrw s exact wildcard and long sections=
apt-cache! afginq - installed all-versions full no-all-versions important names-only quiet recurse
arch - -
cal 13ymjs ABn
dpkg-query! WlLsS f show list listfiles status search showformat=
echo neE -
expr - -
factor h - exponents
false - -
free bkmghltvw sc bytes kibi mebi gibi kilo mega giga human total wide lohi seconds= count= si
getconf a v
getent! i - no-idn
groups - -
hostid - -
id agGnruzZ - context group groups name real user zero
last adFRwxi0123456789 fnstp lines= time-format= since= until= present= fulltimes hostlast fullnames ip nohostname
lastb adFRwxi0123456789 fnstp lines= time-format= since= until= present= fulltimes hostlast fullnames ip nohostname
locale acmk - all-locales charmaps category-name keyword-name
logname - -
lsb_release aidrcsv - all id description release codename short
lscpu abcxyBCJ eps all online offline bytes caches? json hex physical extended? parse? output-all
lsmod - -
lspci! mntvkqxDbQP sd
lsusb! tv sd verbose tree
nproc - - all ignore=
numfmt z d from= to= from-unit= to-unit= padding= header? field= format= suffix= invalid= round= grouping delimiter= zero-terminated
pgrep! flnaxuovcwi GPgstUd list-name list-full full newest oldest inverse exact count euid= parent= group= terminal= delimiter= ignore-case
pidof csnxq oS
printenv 0 - null
ps AaCdeEFfgGHhIjJKlLmMNnOopPqrsSTtuUvVwWxXyYzZ0123456789 - forest no-headers headers sort= cols= columns= width= rows= lines= pid= ppid= user= User= group= Group= tty= format= deselect cumulative info context
pstree AaCcglnNpsSTtuUZ H arguments ascii compact-not hide-threads highlight-all long numeric-sort show-pids show-pgids thread-names unicode uid-changes
pwd LP - logical physical
seq w fs format= separator= equal-width
sleep - -
times - -
tr cCdst - complement delete squeeze-repeats truncate-set1
true - -
tty s - silent quiet
type afpPtS -
uname asnrvmpio - all kernel-name nodename kernel-release kernel-version machine processor hardware-platform operating-system
uptime ps - pretty since
users - -
w fhiosu - no-header short from old-style ip-addr
whatis! drw s debug
whereis! bmsuln -
which aips - all
who abdHlmpqrstTuw - all boot count heading login mesg users
whoami - -
yes - -
";

/// What shells have built in, and evaluate in arithmetic.
const NUMBERS: &str = "\
bg - -
break - -
continue - -
disown ahr -
exit - -
fg - -
jobs lnprs -
logout - -
return - -
shift - -
ulimit HSacdefilmnpqrstuvxPRTbk -
umask pS -
wait n -
";
