// Judges a log with Go's golang.org/x/mod/sumdb, which the Go checksum database runs on. Arguments and answers are those of
// src/main.rs beside it.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type files string

func (log files) read(path string) ([]byte, error) { return os.ReadFile(filepath.Join(string(log), path)) }

func (files) Height() int { return 8 }

func (log files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		// C2SP leaves the height out, which is always 8
		bytes, err := log.read(strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		all = append(all, bytes)
	}
	return all, nil
}

func (files) SaveTiles([]tlog.Tile, [][]byte) {}

func main() {
	log := files(os.Args[1])
	head, err := checkpoint(log)
	say("note", "checkpoint", err)
	if err != nil {
		return
	}
	say("tlog", "tiles", tiles(log, head))
	proofs, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(proofs)), "\n") {
		words := strings.Split(line, " ")
		at, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			panic(err)
		}
		bytes, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			panic(err)
		}
		var proof []tlog.Hash
		for _, word := range strings.Split(words[3], ",") {
			if word != "-" {
				hash, err := tlog.ParseHash(word)
				if err != nil {
					panic(err)
				}
				proof = append(proof, hash)
			}
		}
		if words[0] == "inclusion" {
			err = tlog.CheckRecord(proof, head.N, head.Hash, at, tlog.RecordHash(bytes))
		} else {
			var old tlog.Hash
			copy(old[:], bytes)
			err = tlog.CheckTree(proof, head.N, head.Hash, at, old)
		}
		say("tlog", words[0]+" "+words[1], err)
	}
}

func checkpoint(log files) (tlog.Tree, error) {
	key, err := log.read("key")
	if err != nil {
		return tlog.Tree{}, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return tlog.Tree{}, err
	}
	text, err := log.read("checkpoint")
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	// the first line is the log's name, where Go's own database has a constant
	lines := strings.SplitN(opened.Text, "\n", 2)
	if lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("it is of %q", lines[0])
	}
	return tlog.ParseTree([]byte("go.sum database tree\n" + lines[1]))
}

// Every entry of every bundle, under tiles that the root authenticates.
func tiles(log files, head tlog.Tree) error {
	reader := tlog.TileHashReader(head, log)
	for start := int64(0); start < head.N; start += 256 {
		width := head.N - start
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: 8, L: 0, N: start / 256, W: int(width)}
		bundle, err := log.read(strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1))
		if err != nil {
			return err
		}
		var indices []int64
		for index := start; index < start+width; index++ {
			indices = append(indices, tlog.StoredHashIndex(0, index))
		}
		hashes, err := reader.ReadHashes(indices)
		if err != nil {
			return err
		}
		for place, hash := range hashes {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("entry %d is cut", start+int64(place))
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:end]) != hash {
				return fmt.Errorf("entry %d has another hash", start+int64(place))
			}
			bundle = bundle[end:]
		}
		if len(bundle) > 0 {
			return fmt.Errorf("bytes after the bundle at %d", start)
		}
	}
	return nil
}

func say(who, what string, err error) {
	if err == nil {
		fmt.Printf("x/mod %s: %s: accepted\n", who, what)
	} else {
		fmt.Printf("x/mod %s: %s: refused: %s\n", who, what, strings.ReplaceAll(err.Error(), "\n", " "))
	}
}
