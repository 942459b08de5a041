// Command site writes the documents of the repository as a web site: static files that need no
// server and nothing from elsewhere. It fails if a link or an anchor leads nowhere.
//
//	go -C docs/site run . ../../dist/site
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: site FOLDER")
		os.Exit(64)
	}
	if err := build("../..", os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// build writes the documents below root as a site into the folder, which is made if it is missing.
func build(root, folder string) error {
	s, err := read(os.DirFS(root))
	if err != nil {
		return err
	}
	return s.write(folder)
}
