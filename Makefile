# build, test, test-full and bench are short commands that work without make too. The other
# targets install and release.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR    ?=
DIST       ?= dist
GO         ?= go
ENGINE     ?= docker

.DELETE_ON_ERROR:
.PHONY: build test test-full bench completions man site install uninstall release image packages push

build:
	go build -o switchyard ./cmd/switchyard

test:
	go test ./...

# Needs the tools that CONTRIBUTING.md lists.
test-full:
	go test -tags full ./...

# Runs Switchyard beside nats-server and writes the tables of docs/benchmarks.md. It takes
# about a quarter of an hour on an otherwise idle machine.
bench:
	go -C cmd/yardbench run . compare

# A static program that runs anywhere and contains no paths of this machine.
GOBUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w'

SOURCES := $(shell find cmd pdu plugins policy proxy go.mod go.sum embed.go config.toml -type f -not -path '*/node_modules/*')

$(DIST)/switchyard: $(SOURCES) | $(DIST)/.gitignore
	$(GOBUILD) -o $@ ./cmd/switchyard

# Git ignores the built files, so that the program's version does not call the checkout
# modified.
$(DIST)/.gitignore:
	mkdir -p $(DIST)
	echo '*' > $@

# Built once for each program, so that a later 'sudo make install' builds nothing and leaves
# no files of root's here.
completions: $(DIST)/completions/switchyard.fish
man: $(DIST)/man/switchyard.1

$(DIST)/completions/switchyard.fish: $(DIST)/switchyard
	mkdir -p $(@D)
	$(DIST)/switchyard completion bash > $(@D)/switchyard
	$(DIST)/switchyard completion zsh > $(@D)/_switchyard
	$(DIST)/switchyard completion fish > $@

$(DIST)/man/switchyard.1: $(DIST)/switchyard
	rm -rf $(@D)
	$(DIST)/switchyard manual $(@D)

# The documents as a web site, in $(DIST)/site. It fails if a link or an anchor leads nowhere.
site: | $(DIST)/.gitignore
	rm -rf $(DIST)/site
	$(GO) -C docs/site run . $(abspath $(DIST))/site

# install keeps an existing configuration. DESTDIR is for packages: it precedes every path
# and does not appear in the files.
BIN        = $(DESTDIR)$(PREFIX)/bin
MAN        = $(DESTDIR)$(PREFIX)/share/man
BASH       = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH        = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISH       = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
UNITS      = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS   = $(DESTDIR)$(PREFIX)/lib/sysusers.d
CONFIG     = $(DESTDIR)$(SYSCONFDIR)/switchyard

install: completions man
	install -d $(BIN) $(MAN)/man1 $(MAN)/man5 $(BASH) $(ZSH) $(FISH) $(UNITS) $(SYSUSERS) $(CONFIG)
	install -m 755 $(DIST)/switchyard $(BIN)
	install -m 644 $(DIST)/man/*.1 $(MAN)/man1
	install -m 644 $(DIST)/man/*.5 $(MAN)/man5
	install -m 644 $(DIST)/completions/switchyard $(BASH)
	install -m 644 $(DIST)/completions/_switchyard $(ZSH)
	install -m 644 $(DIST)/completions/switchyard.fish $(FISH)
	install -m 644 deploy/systemd/switchyard.sysusers $(SYSUSERS)/switchyard.conf
	sed -e 's|/usr/local/bin|$(PREFIX)/bin|' -e 's|/etc/switchyard|$(SYSCONFDIR)/switchyard|' \
		deploy/systemd/switchyard.service > $(UNITS)/switchyard.service
	chmod 644 $(UNITS)/switchyard.service
	test -e $(CONFIG)/config.toml || install -m 644 config.toml $(CONFIG)

uninstall:
	rm -f $(BIN)/switchyard $(MAN)/man1/switchyard.1 $(MAN)/man1/switchyard-*.1 \
		$(MAN)/man5/switchyard.toml.5 $(MAN)/man5/switchyard-table.5 \
		$(BASH)/switchyard $(ZSH)/_switchyard $(FISH)/switchyard.fish \
		$(UNITS)/switchyard.service $(SYSUSERS)/switchyard.conf

# release builds the same bytes from the same commit with the same version of Go, on any
# machine. 'switchyard version' prints the commit and its tag. It refuses a checkout with
# changes, because such a release could not be reproduced. yardbus is
# built in its folder, because it has a module of its own.
RELEASE = $(DIST)/release
RELEASED = GOFLAGS= GOEXPERIMENT= GOOS=linux GOARCH=$$arch GOAMD64=v1 GOARM64=v8.0 $(GOBUILD) -mod=readonly -buildvcs=true

release: | $(DIST)/.gitignore
	@test -z "$$(git status --porcelain)" || { git status --short; echo 'release: commit these changes, or put them away: a release is built from a commit' >&2; exit 1; }
	rm -rf $(RELEASE)
	for arch in amd64 arm64; do \
		$(RELEASED) -o $(RELEASE)/switchyard-linux-$$arch ./cmd/switchyard || exit 1; \
		(cd cmd/yardbus && $(RELEASED) -o $(abspath $(RELEASE))/yardbus-linux-$$arch .) || exit 1; \
	done
	cd $(RELEASE) && sha256sum *-linux-* > SHA256SUMS

# image builds two images, each with one program of the release and nothing else. ENGINE is
# docker, podman or buildah.
image: release
	rm -rf $(DIST)/image
	mkdir -p $(DIST)/image/state
	cp $(RELEASE)/*-linux-* deploy/container/*Containerfile deploy/container/config.toml $(DIST)/image
	$(ENGINE) build --file $(DIST)/image/Containerfile --tag switchyard $(DIST)/image
	$(ENGINE) build --file $(DIST)/image/yardbus.Containerfile --tag yardbus $(DIST)/image

# packages builds, without Docker and without root, packages for Debian and RPM, images, and the
# chart for Helm, with checksums. VERSION, if it is given, must be that of the commit's tag. KEY is
# the file of an ed25519 private key, which signs the checksums.
PACKAGES = $(DIST)/packages
STAGE = $(abspath $(DIST))/stage

packages: release completions man
	rm -rf $(PACKAGES) $(STAGE)
	$(MAKE) --no-print-directory install DESTDIR=$(STAGE) PREFIX=/usr SYSCONFDIR=/etc
	$(GO) -C deploy/packages run -trimpath . build --release $(abspath $(RELEASE)) --stage $(STAGE) \
		--out $(abspath $(PACKAGES)) --version '$(VERSION)' --key '$(abspath $(KEY))'

# push copies the images of 'make packages' to a registry: REGISTRY=registry.example/group. The
# credentials are those of 'docker login' or 'podman login'.
push:
	@test -n '$(REGISTRY)' || { echo 'push: say where to: make push REGISTRY=registry.example/group' >&2; exit 1; }
	@test -d $(PACKAGES) || { echo "push: $(PACKAGES) is missing: run 'make packages'" >&2; exit 1; }
	for image in switchyard yardbus; do \
		file=$$(echo $(abspath $(PACKAGES))/$$image-*-image.tar); \
		version=$${file##*/$$image-}; \
		$(GO) -C deploy/packages run -trimpath . push $$file $(REGISTRY)/$$image:$${version%-image.tar} || exit 1; \
	done
