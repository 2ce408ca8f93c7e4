#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::{Frontier, Hash, Tree, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};

/// The tree that Certificate Transparency's implementations test against.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const PATH_0_OF_8: [&str; 3] = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
];

const CONSISTENCY_6_TO_8: [&str; 3] = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

fn hash(hex: &str) -> Hash {
    Hash::new(bytes(hex).try_into().unwrap())
}

/// RFC 6962 §2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty(),
        [leaf] => *leaf,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            Hash::node(&naive_root(left), &naive_root(right))
        }
    }
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|number| Hash::leaf(&number.to_be_bytes())).collect()
}

fn tree(leaves: &[Hash]) -> Tree {
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree
}

#[test]
fn the_published_vectors_hold() {
    let mut tree = Tree::default();
    assert_eq!(tree.root(), Hash::empty());
    for (leaf, root) in LEAVES.iter().zip(ROOTS) {
        tree.push(Hash::leaf(&bytes(leaf)));
        assert_eq!(tree.root(), hash(root));
    }
    assert_eq!(inclusion_proof(&tree, 0, 8).unwrap(), PATH_0_OF_8.map(hash));
    assert_eq!(consistency_proof(&tree, 6, 8).unwrap(), CONSISTENCY_6_TO_8.map(hash));
    assert_eq!(inclusion_proof(&tree, 2, 3).unwrap(), [hash(ROOTS[1])]);
}

#[test]
fn proofs_of_nothing_are_refused() {
    let all = leaves(3);
    let tree = tree(&all);
    let root = tree.root();
    assert_eq!(inclusion_proof(&tree, 3, 3), None);
    assert_eq!(inclusion_proof(&tree, 0, 9), None);
    assert_eq!(consistency_proof(&tree, 0, 3), None);
    assert!(!verify_inclusion(&all[0], 3, 3, &[], &root));
    assert!(!verify_consistency((0, &Hash::empty()), (3, &root), &[]));
    assert!(!verify_consistency((3, &root), (2, &root), &[]));
}

proptest! {
    #[test]
    fn roots_equal_the_definition(count in 0_usize..600) {
        let all = leaves(count);
        let mut frontier = Frontier::default();
        all.iter().for_each(|leaf| frontier.push(*leaf));
        prop_assert_eq!(frontier.root(), naive_root(&all));
    }

    #[test]
    fn proofs_verify_and_altered_ones_do_not(size in 1_usize..300, a in any::<usize>(), b in any::<usize>(), flip in any::<usize>()) {
        let all = leaves(size);
        let tree = tree(&all);
        let (index, old) = (a % size, b % size + 1);
        let (size64, index64, old64) = (size as u64, index as u64, old as u64);

        let mut proof = inclusion_proof(&tree, index64, size64).unwrap();
        prop_assert!(verify_inclusion(&all[index], index64, size64, &proof, &tree.root()));
        prop_assert!(!verify_inclusion(&Hash::leaf(b"other"), index64, size64, &proof, &tree.root()));
        if !proof.is_empty() {
            let at = flip % proof.len();
            proof[at] = Hash::leaf(b"flipped");
            prop_assert!(!verify_inclusion(&all[index], index64, size64, &proof, &tree.root()));
        }

        let old_root = naive_root(&all[..old]);
        let mut proof = consistency_proof(&tree, old64, size64).unwrap();
        prop_assert!(verify_consistency((old64, &old_root), (size64, &tree.root()), &proof));
        prop_assert!(!verify_consistency((old64, &Hash::empty()), (size64, &tree.root()), &proof));
        proof.push(Hash::empty());
        prop_assert!(!verify_consistency((old64, &old_root), (size64, &tree.root()), &proof));
    }
}
