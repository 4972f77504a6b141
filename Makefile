menu: ; @echo later
