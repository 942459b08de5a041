package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The images are made without a container engine, which would put times of its own into them. But the
// Containerfile stays what says how an image looks, and operators can build it with any engine. So
// its few instructions are read here.

// A recipe is what a Containerfile says.
type recipe struct {
	config v1.Config
	copies []copied
}

// A copied file or empty folder comes from the release or from the folder of the Containerfile.
type copied struct {
	from, to string
	mode     fs.FileMode
	uid, gid int
}

// readRecipe reads the instructions that the Containerfiles of this repository use, and refuses
// others, so that no image lacks what another builder would give it.
func readRecipe(path, arch string) (r recipe, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	whole := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(string(text), "")
	whole = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(whole, "")
	for line := range strings.Lines(strings.ReplaceAll(whole, "${TARGETARCH}", arch)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if err := r.instruction(name, rest); err != nil {
			return r, fmt.Errorf("%s: %s %s: %w", path, name, rest, err)
		}
	}
	return r, nil
}

// instruction adds one instruction to the recipe. What it does not know is an error and not ignored.
func (r *recipe) instruction(name, rest string) (err error) {
	c := &r.config
	switch name {
	case "", "ARG":
	case "FROM":
		if rest != "scratch" {
			err = fmt.Errorf("the image must contain nothing else")
		}
	case "COPY":
		err = r.copy(strings.Fields(rest))
	case "USER":
		c.User = rest
	case "ENV":
		c.Env = append(c.Env, rest)
	case "EXPOSE":
		c.ExposedPorts = map[string]struct{}{}
		for _, port := range strings.Fields(rest) {
			c.ExposedPorts[port+"/tcp"] = struct{}{}
		}
	case "STOPSIGNAL":
		c.StopSignal = rest
	case "HEALTHCHECK":
		c.Healthcheck, err = healthcheck(rest)
	case "ENTRYPOINT":
		err = json.Unmarshal([]byte(rest), &c.Entrypoint)
	case "CMD":
		err = json.Unmarshal([]byte(rest), &c.Cmd)
	default:
		err = fmt.Errorf("this instruction is unknown; add it to containerfile.go")
	}
	return err
}

// copy reads [--chown=UID:GID] [--chmod=MODE] FROM TO.
func (r *recipe) copy(words []string) error {
	var c copied
	for len(words) > 2 {
		option, value, _ := strings.Cut(words[0], "=")
		words = words[1:]
		switch option {
		case "--chmod":
			mode, err := strconv.ParseUint(value, 8, 12)
			if err != nil {
				return err
			}
			c.mode = fs.FileMode(mode)
		case "--chown":
			if _, err := fmt.Sscanf(value, "%d:%d", &c.uid, &c.gid); err != nil {
				return fmt.Errorf("%s: want numbers: %w", value, err)
			}
		default:
			return fmt.Errorf("%s is unknown; add it to containerfile.go", option)
		}
	}
	if len(words) != 2 || c.mode == 0 {
		return fmt.Errorf("want --chmod, a source and a destination")
	}
	c.from, c.to = words[0], words[1]
	r.copies = append(r.copies, c)
	return nil
}

// healthcheck reads options and the command in exec form. The result is not part of OCI's format,
// but of Docker's, which takes it from OCI images as well.
func healthcheck(text string) (*v1.HealthConfig, error) {
	options, command, _ := strings.Cut(text, "CMD ")
	var h v1.HealthConfig
	if err := json.Unmarshal([]byte(command), &h.Test); err != nil {
		return nil, err
	}
	h.Test = append([]string{"CMD"}, h.Test...)
	for _, option := range strings.Fields(options) {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name {
		case "--interval":
			h.Interval, err = time.ParseDuration(value)
		case "--timeout":
			h.Timeout, err = time.ParseDuration(value)
		case "--start-period":
			h.StartPeriod, err = time.ParseDuration(value)
		case "--retries":
			h.Retries, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("%s is unknown; add it to containerfile.go", name)
		}
		if err != nil {
			return nil, err
		}
	}
	return &h, nil
}

// containers is the folder of the Containerfiles and of what they copy beside the program.
var containers = filepath.Join(root, "deploy", "container")
