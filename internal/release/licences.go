package release

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Standard is the path of Go's standard library, as bills of materials have it.
const Standard = "std"

// Module is what others wrote of a program: a Go module, or Go's standard library.
type Module struct {
	Path, Version string
	Licence       string // of the whole, an SPDX expression
	Texts         []Text // that must go with the program: licences, of parts too, and notices
}

// Text is a file of a module.
type Text struct{ Name, Content string }

// Modules returns what others wrote of a program, by its path, but Go's standard library first. The program
// must have been built from the source in the working directory. A module without a licence, or with one
// that is not among those we know, is an error: somebody has to read it before it is passed on.
func Modules(program string) ([]Module, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	goroot := strings.TrimSpace(string(root))
	standard, err := read(Standard, info.GoVersion, goroot, []string{goroot})
	if err != nil {
		return nil, err
	}
	sources, err := sourcesOf(info)
	if err != nil {
		return nil, err
	}
	modules := []Module{standard}
	for _, dep := range info.Deps {
		source := sources[dep.Path]
		if source == nil || source.version != dep.Version {
			return nil, fmt.Errorf("%s contains %s %s, and this source does not", program, dep.Path, dep.Version)
		}
		module, err := read(dep.Path, dep.Version, source.root, slices.Sorted(maps.Keys(source.folders)))
		if err != nil {
			return nil, err
		}
		modules = append(modules, module)
	}
	return modules, nil
}

// source is where the part of a module is that a program contains.
type source struct {
	version string
	root    string
	folders map[string]bool // of the packages, and all above them
}

// sourcesOf returns the sources of the modules that a program contains, by their paths.
func sourcesOf(info *buildinfo.BuildInfo) (map[string]*source, error) {
	list := exec.Command("go", "list", "-deps", "-json=Dir,Module", info.Path)
	list.Env = os.Environ()
	for _, setting := range info.Settings {
		if setting.Key == "GOOS" || setting.Key == "GOARCH" || setting.Key == "CGO_ENABLED" {
			list.Env = append(list.Env, setting.Key+"="+setting.Value)
		}
	}
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	sources := map[string]*source{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var in struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		err := decoder.Decode(&in)
		if errors.Is(err, io.EOF) {
			return sources, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if in.Module == nil || in.Module.Main {
			continue
		}
		s := sources[in.Module.Path]
		if s == nil {
			s = &source{version: in.Module.Version, root: in.Module.Dir, folders: map[string]bool{in.Module.Dir: true}}
			sources[in.Module.Path] = s
		}
		for folder := in.Dir; folder != s.root; folder = filepath.Dir(folder) {
			s.folders[folder] = true
		}
	}
}

var (
	isLicence = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying)`)
	isText    = regexp.MustCompile(isLicence.String() + `|(?i)^(notice|patents)`)
)

// read reads the texts of a module, of which a program contains folders. The first of them is the root.
func read(path, version, root string, folders []string) (Module, error) {
	module := Module{Path: path, Version: version}
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return Module{}, err
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() || filepath.Ext(entry.Name()) == ".go" || !isText.MatchString(entry.Name()) {
				continue
			}
			file := filepath.Join(folder, entry.Name())
			content, err := os.ReadFile(file)
			if err != nil {
				return Module{}, err
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				return Module{}, err
			}
			module.Texts = append(module.Texts, Text{filepath.ToSlash(name), string(content)})
			if module.Licence == "" && folder == root && isLicence.MatchString(entry.Name()) {
				if module.Licence = identify(string(content)); module.Licence == "" {
					return Module{}, fmt.Errorf("%s %s: not a licence that is known here: %s", path, version, file)
				}
			}
		}
	}
	if module.Licence == "" {
		return Module{}, fmt.Errorf("%s %s has no licence in %s", path, version, root)
	}
	return module, nil
}

// known has words of the licences that may be in a program, each in no other one.
var known = map[string]string{
	"Apache-2.0":   "Apache License Version 2.0, January 2004",
	"BSD-3-Clause": "may be used to endorse or promote products derived from this software without specific prior written permission",
	"MIT":          "Permission is hereby granted, free of charge, to any person obtaining a copy",
	"MPL-2.0":      "Mozilla Public License, version 2.0",
}

// identify returns the SPDX expression of a licence, or "" for one that is not known. In one file several
// are for several parts, as BSD-3-Clause is for what OpenTelemetry has of Go's library: all of them hold.
func identify(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	var found []string
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if strings.Contains(text, known[id]) {
			found = append(found, id)
		}
	}
	return strings.Join(found, " AND ")
}
