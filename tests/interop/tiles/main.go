// Command tiles reads a Kakuin log with other people's code: the client of the Tessera project and Go's own signed notes.
//
//	tiles URL VERIFIER-KEY WITNESS-KEY TOKEN
//
// It verifies the checkpoint with its cosignature (WITNESS-KEY may be empty), finds TOKEN among the entries, and verifies that it is included. It prints
// the index of the entry and the size of the log.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(prefix, key, witness, path string) error {
	ctx := context.Background()
	token, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	root, err := url.Parse(strings.TrimSuffix(prefix, "/") + "/")
	if err != nil {
		return err
	}
	fetcher, err := client.NewHTTPFetcher(root, http.DefaultClient)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	checkpoint, err := verified(ctx, fetcher, verifier, witness)
	if err != nil {
		return err
	}
	index, leaf, err := find(ctx, fetcher, checkpoint.Size, token)
	if err != nil {
		return err
	}
	return proven(ctx, fetcher, checkpoint, index, leaf)
}

func verified(ctx context.Context, fetcher *client.HTTPFetcher, verifier note.Verifier, witness string) (*log.Checkpoint, error) {
	raw, err := fetcher.ReadCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	others := []note.Verifier{}
	if witness != "" {
		cosigner, err := fnote.NewVerifierForCosignatureV1(witness)
		if err != nil {
			return nil, err
		}
		others = append(others, cosigner)
	}
	checkpoint, _, signed, err := log.ParseCheckpoint(raw, verifier.Name(), verifier, others...)
	if err != nil {
		return nil, err
	}
	if len(signed.Sigs) != 1+len(others) {
		return nil, fmt.Errorf("%d signatures verify, expected %d", len(signed.Sigs), 1+len(others))
	}
	return checkpoint, nil
}

func find(ctx context.Context, fetcher *client.HTTPFetcher, size uint64, token []byte) (uint64, []byte, error) {
	for bundle := uint64(0); bundle*256 < size; bundle++ {
		entries, err := client.GetEntryBundle(ctx, fetcher.ReadEntryBundle, bundle, size)
		if err != nil {
			return 0, nil, err
		}
		for at, data := range entries.Entries {
			if bytes.HasPrefix(data, []byte("token\n")) && bytes.Equal(data[len("token\n")+8:], token) {
				return bundle*256 + uint64(at), rfc6962.DefaultHasher.HashLeaf(data), nil
			}
		}
	}
	return 0, nil, fmt.Errorf("the token is not in the log")
}

func proven(ctx context.Context, fetcher *client.HTTPFetcher, checkpoint *log.Checkpoint, index uint64, leaf []byte) error {
	builder, err := client.NewProofBuilder(ctx, checkpoint.Size, fetcher.ReadTile)
	if err != nil {
		return err
	}
	path, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return err
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, checkpoint.Size, leaf, path, checkpoint.Hash); err != nil {
		return err
	}
	fmt.Println(index, checkpoint.Size)
	return nil
}
