// Command gen generates the Go code of the .proto files in one folder. It needs only
// Go. Run it with "go generate ./pdu/pb".
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// root is the folder as the imports in the .proto files spell it.
const root = "pdu/pb"

func main() {
	in := flag.String("in", ".", "the folder of the .proto files")
	out := flag.String("out", ".", "where the .pb.go files go")
	flag.Parse()
	if err := generate(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(in, out string) error {
	req, err := compile(in)
	if err != nil {
		return err
	}
	plugin, err := protogen.Options{}.New(req)
	if err != nil {
		return err
	}
	for _, f := range plugin.Files {
		internal_gengo.GenerateFile(plugin, f)
	}
	res := plugin.Response()
	if res.Error != nil {
		return fmt.Errorf("generate: %s", *res.Error)
	}
	for _, f := range res.File {
		if err := os.WriteFile(filepath.Join(out, path.Base(f.GetName())), []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compile compiles all .proto files of a folder to the request that protoc would pass
// to its plugin. None of them imports a file outside the folder.
func compile(in string) (*pluginpb.CodeGeneratorRequest, error) {
	paths, err := filepath.Glob(filepath.Join(in, "*.proto"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no .proto files in %s", in)
	}
	var names []string
	for _, p := range paths {
		names = append(names, path.Join(root, filepath.Base(p)))
	}
	open := func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(in, path.Base(name))) }
	c := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{Accessor: open},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := c.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	req := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("paths=source_relative"),
	}
	for _, f := range files {
		appendFile(req, f)
	}
	return req, nil
}

// appendFile adds a file after the files that it imports, the order that protogen expects.
func appendFile(req *pluginpb.CodeGeneratorRequest, f protoreflect.FileDescriptor) {
	for _, have := range req.ProtoFile {
		if have.GetName() == f.Path() {
			return
		}
	}
	for i := range f.Imports().Len() {
		appendFile(req, f.Imports().Get(i).FileDescriptor)
	}
	req.ProtoFile = append(req.ProtoFile, protoutil.ProtoFromFileDescriptor(f))
}
