# Run with `cmake -P`: writes the file IN to the C file OUT as bytes called NAME, NAME_len of them; HEADER declares both.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] = {\n${bytes}\n};\nconst size_t ${NAME}_len = sizeof(${NAME});\n")
